"""Sets name servers in the way that this machine has: systemd-resolved, resolvconf, or its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.resolv_conf import ResolvConfDeed

if TYPE_CHECKING:
    from vpnws.client.janitor.deeds import Deed
    from vpnws.client.janitor.machine import Machine

_RESOLVED: Final = "systemd/resolve"
"""Where /etc/resolv.conf leads to when systemd-resolved has charge of it."""
_RECORD: Final = "vpnws"
"""The name of our record at resolvconf, behind the device's."""


@dataclass(frozen=True, slots=True)
class ResolvedDeed:
    """Name servers of a device at systemd-resolved, for all names (`~.`)."""

    device: str
    index: int
    servers: tuple[str, ...]

    def do(self, machine: Machine) -> None:
        """Give the device the name servers."""
        purpose = f"give {self.device} name servers"
        machine.change(purpose, "resolvectl", "dns", self.device, *self.servers)
        machine.change(purpose, "resolvectl", "domain", self.device, "~.")

    def undo(self, machine: Machine) -> str:
        """Take them, unless the device is gone, and they with it."""
        if machine.index_of(self.device) == self.index:
            outcome = machine.runner.run("resolvectl", "revert", self.device)
            if outcome.status:
                return f"the name servers of {self.device} stay: {outcome.error}"
        return ""


@dataclass(frozen=True, slots=True)
class ResolvconfDeed:
    """Name servers in a record of our own at resolvconf, Debian's or openresolv."""

    record: str
    servers: tuple[str, ...]

    @classmethod
    def plan(cls, machine: Machine, device: str, servers: tuple[str, ...]) -> ResolvconfDeed:
        """Return the record of `device`, with a name that comes first.

        Debian's sorts records by the patterns in a file, which has one for tun*; openresolv goes by
        the metric, and by -x asks no others.
        """
        order = machine.resolv_conf.with_name("resolvconf") / "interface-order"
        return cls(f"{'tun.' if order.exists() else ''}{device}.{_RECORD}", servers)

    def do(self, machine: Machine) -> None:
        """Hand in the record; it replaces one of that name."""
        text = "".join(f"nameserver {each}\n" for each in self.servers)
        words = ("resolvconf", "-a", self.record, "-m", "0", "-x")
        machine.change("set name servers", *words, text=text)

    def undo(self, machine: Machine) -> str:
        """Withdraw the record."""
        outcome = machine.runner.run("resolvconf", "-d", self.record)
        return f"the name servers {self.servers} stay: {outcome.error}" if outcome.status else ""


def plan(machine: Machine, tap: str, servers: tuple[str, ...]) -> Deed:
    """Return the deed that has names looked up at `servers`. Raises ChangeError."""
    runner = machine.runner
    if _RESOLVED in str(machine.resolv_conf.resolve()) and runner.has("resolvectl"):
        return ResolvedDeed(tap, machine.index_of(tap), servers)
    if runner.has("resolvconf"):
        return ResolvconfDeed.plan(machine, tap, servers)
    return ResolvConfDeed.plan(machine, servers)
