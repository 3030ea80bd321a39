"""Changes of the device and of routes: each is planned, done, and undone if it is still ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.programs import ask_ip, show_device
from vpnws.client.janitor.roads import ROUTE_PROTOCOL, Road, family_of, gateway_of

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.janitor.machine import Machine

_IS_THERE: Final = "File exists"


class Deed(Protocol):
    """A change as it is written into the journal: what it takes to undo it."""

    def do(self, machine: Machine) -> None:
        """Make the change; doing it again restores it. Raises ChangeError."""

    def undo(self, machine: Machine) -> str:
        """Undo the change if it is still as we made it; return what a person must know of it."""


@dataclass(frozen=True, slots=True)
class AddressDeed:
    """An address of a device."""

    device: str
    index: int
    cidr: str

    def do(self, machine: Machine) -> None:
        """Give the address, and announce it: each new connection is to another port of a switch."""
        purpose = f"give the address {self.cidr} to {self.device}"
        machine.change(purpose, "ip", "address", "replace", self.cidr, "dev", self.device)
        machine.announce(self.device, self.cidr)

    def undo(self, machine: Machine) -> str:
        """Take the address, unless the device is gone."""
        if machine.index_of(self.device) == self.index:
            machine.runner.run("ip", "address", "del", self.cidr, "dev", self.device)
        return ""


@dataclass(frozen=True, slots=True)
class RouteDeed:
    """A route, with our protocol as its mark; without a device it says that no way leads there."""

    destination: str
    device: str
    gateway: str = ""
    source: str = ""
    is_onlink: bool = False

    @classmethod
    def along(cls, destination: str, road: Road) -> RouteDeed:
        """Return the route to `destination` along `road`."""
        return cls(destination, road.device, road.gateway, road.source, road.is_onlink)

    def do(self, machine: Machine) -> None:
        """Add the route."""
        words = self._words("add")
        outcome = machine.runner.run(*words)
        if not outcome.status or (_IS_THERE in outcome.error and self._is_there(machine)):
            return
        purpose = f"route {self.destination} {f'through {self.device}' if self.device else ''}"
        error = outcome.error
        if _IS_THERE in error:
            error = f"there is a route to it already (ip route show {self.destination})"
        raise machine.refused(purpose.strip(), error, outcome.lacks_permission, words)

    def undo(self, machine: Machine) -> str:
        """Delete the route, if it is still there as we added it."""
        outcome = machine.runner.run(*self._words("del"))
        if outcome.lacks_permission:
            return f"the route to {self.destination} stays: {outcome.error}"
        return ""

    def _words(self, verb: str) -> tuple[str, ...]:
        if not self.device:
            way = ["unreachable", self.destination]
        else:
            way = [self.destination, *self._via(), "dev", self.device]
        if self.source:
            way += ["src", self.source]
        if self.is_onlink:
            way.append("onlink")
        return ("ip", family_of(self.destination), "route", verb, *way, "proto", ROUTE_PROTOCOL)

    def _via(self) -> tuple[str, ...]:
        if not self.gateway:
            return ()
        # A gateway of IPv6 can be on the way to an address of IPv4 (RFC 5549).
        crosses = ":" in self.gateway and ":" not in self.destination
        return ("via", "inet6", self.gateway) if crosses else ("via", self.gateway)

    def _is_there(self, machine: Machine) -> bool:
        words = (family_of(self.destination), "route", "show", "exact", self.destination)
        return any(self._is(each) for each in ask_ip(machine.runner, *words) or [])

    def _is(self, route: dict[str, Any]) -> bool:
        if str(route.get("protocol")) != ROUTE_PROTOCOL:
            return False
        if not self.device:
            return route.get("type") == "unreachable"
        return (route.get("dev"), gateway_of(route)) == (self.device, self.gateway)


@dataclass(frozen=True, slots=True)
class MtuDeed:
    """The MTU of a device, and the one that it had before."""

    device: str
    index: int
    mtu_bytes: int
    before_bytes: int

    def do(self, machine: Machine) -> None:
        """Set the MTU."""
        self._set(machine, self.mtu_bytes)

    def undo(self, machine: Machine) -> str:
        """Set the MTU of before, if the device still has ours."""
        shown = show_device(machine.runner, "link", self.device)
        is_ours = machine.index_of(self.device) == self.index
        if is_ours and shown.get("mtu") == self.mtu_bytes:
            with suppress(ChangeError):
                self._set(machine, self.before_bytes)
        return ""

    def _set(self, machine: Machine, mtu_bytes: int) -> None:
        purpose = f"give {self.device} an MTU of {mtu_bytes}"
        machine.change(purpose, "ip", "link", "set", "mtu", str(mtu_bytes), "dev", self.device)


@dataclass(frozen=True, slots=True)
class SwitchDeed:
    """A parameter of IPv6 of a device, and the value that it had before."""

    device: str
    index: int
    name: str
    value: int
    before: int

    def do(self, machine: Machine) -> None:
        """Set the value."""
        try:
            path_of(machine, self.device, self.name).write_text(f"{self.value}\n")
        except OSError as error:
            purpose = f"set {self.name} of {self.device} to {self.value}"
            words = ("sysctl", "-w", f"net.ipv6.conf.{self.device}.{self.name}={self.value}")
            raise machine.refused(
                purpose, error.strerror or "", isinstance(error, PermissionError), words
            ) from error

    def undo(self, machine: Machine) -> str:
        """Set the value of before, if the device is there and still has ours."""
        path = path_of(machine, self.device, self.name)
        with suppress(OSError, ValueError):
            if machine.index_of(self.device) == self.index and int(path.read_text()) == self.value:
                path.write_text(f"{self.before}\n")
        return ""


def path_of(machine: Machine, device: str, name: str) -> Path:
    """Return the file of IPv6's parameter `name` of a device."""
    return machine.sysctls / "net/ipv6/conf" / device / name
