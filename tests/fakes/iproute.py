"""A machine's devices, addresses and routes, behind iproute2's `ip` as the janitor calls it.

It keeps the kernel's rules that matter: a route is refused that is there already, a gateway must be
near, a route goes with its device or the address it needs, and the most exact route is the one
that counts.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vpnws.client.janitor.machine import Machine
from vpnws.client.janitor.programs import Outcome

if TYPE_CHECKING:
    from pathlib import Path

DENIED = "RTNETLINK answers: Operation not permitted"
NO_SUCH = "RTNETLINK answers: No such process"
THERE = "RTNETLINK answers: File exists"
NOT_NEAR = "Error: Nexthop has invalid gateway."
NO_WAY = "RTNETLINK answers: Network is unreachable"


@dataclass
class FakeSystem:
    """A Runner. `home` has a network of its own, with a way to everywhere."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Devices, in the order of their numbers, each with its addresses."""
    routes: list[dict[str, Any]] = field(default_factory=list)
    mtus: dict[str, int] = field(default_factory=dict)
    bridges: set[str] = field(default_factory=set)
    masters: dict[str, str] = field(default_factory=dict)
    """Which bridge each port is in."""
    is_denied: bool = False
    """Whether changes need a privilege that is not there."""
    programs: frozenset[str] = frozenset(("ip",))
    commands: list[tuple[str, ...]] = field(default_factory=list)
    """What has been run."""
    announced: list[tuple[str, str]] = field(default_factory=list)
    """Devices, and the addresses of theirs that were announced."""
    texts: list[str] = field(default_factory=list)
    """What programs other than `ip` were given to read."""
    fails: dict[str, str] = field(default_factory=dict)
    """Programs other than `ip` that fail, each with what it says."""

    @classmethod
    def home(cls) -> FakeSystem:
        """Return a machine with a network of IPv4 and IPv6, and a TAP."""
        made = cls({"eth0": ["192.168.5.2/24", "fd05::2/64"], "tap0": []})
        made.add_route("default", "eth0", gateway="192.168.5.1", metric=100)
        made.add_route("default", "eth0", gateway="fd05::1", metric=1024)
        return made

    def machine(self, directory: Path) -> Machine:
        """Return a machine of it, whose files are in `directory`."""
        sysctls = directory / "sys"
        for device in self.addresses:
            place = sysctls / "net/ipv6/conf" / device
            place.mkdir(parents=True, exist_ok=True)
            for name, value in (("accept_ra_defrtr", 1), ("accept_ra_rt_info_max_plen", 0)):
                (place / name).write_text(f"{value}\n")
            (place / "ra_defrtr_metric").write_text("1024\n")
        return Machine(self, self.index_of, self._announce, directory / "resolv.conf", sysctls)

    def index_of(self, device: str) -> int:
        """Return the number of a device, 0 if there is none."""
        names = list(self.addresses)
        return names.index(device) + 1 if device in names else 0

    def add_route(self, destination: str, device: str, **facts: Any) -> None:
        """Add a route of somebody else."""
        self.routes.append({"dst": destination, "dev": device, "flags": [], **facts})

    def delete_device(self, device: str) -> None:
        """Delete a device, as the kernel does when nobody has a TAP open any more."""
        self.addresses.pop(device)
        self.routes = [each for each in self.routes if each.get("dev") != device]

    def state(self) -> object:
        """Return all that can be seen, to compare."""
        routes = sorted(json.dumps(each, sort_keys=True) for each in self.routes)
        addresses = {name: sorted(found) for name, found in self.addresses.items()}
        return addresses, routes, {name: self.mtus.get(name, 1500) for name in self.addresses}

    def has(self, program: str) -> bool:
        """Return whether a program is installed."""
        return program in self.programs

    def run(self, *words: str, text: str = "") -> Outcome:
        """Do what a program does."""
        self.commands.append(words)
        if words[0] not in self.programs:
            return Outcome(127, error=f"the program {words[0]!r} is not installed")
        if words[0] != "ip":
            self.texts.append(text)
            error = self.fails.get(words[0], "")
            return Outcome(1 if error else 0, error=error)
        given = [word for word in words[1:] if not word.startswith("-")]
        if "-json" in words:
            found = self._show(given, 6 if "-6" in words else 4)
            return Outcome(2, error=NO_WAY) if found is None else Outcome(out=json.dumps(found))
        if self.is_denied:
            return Outcome(2, error=DENIED)
        error = self._change(given, "-6" in words)
        return Outcome(2 if error else 0, error=error)

    def _announce(self, device: str, cidr: str) -> None:
        assert cidr in self.addresses[device]
        self.announced.append((device, cidr))

    def _show(self, words: list[str], version: int) -> list[dict[str, Any]] | None:
        match words:
            case ["address", "show", "dev", device]:
                return [self._shown(device)]
            case ["address", "show", "master", bridge]:
                return [
                    self._shown(each) for each, master in self.masters.items() if master == bridge
                ]
            case ["link", "show", "dev", device]:
                return [{"ifname": device, "mtu": self.mtus.get(device, 1500)}]
            case ["route", "get", "fibmatch", address]:
                best = self._best(address)
                return None if best is None else [best]
            case ["route", "show"]:
                return [each for each in self.routes if _version(each) == version]
            case ["route", "show", "exact", destination]:
                return [each for each in self.routes if _network(each) == _net(destination)]
        raise AssertionError(f"ip {words} is not known here")

    def _shown(self, device: str) -> dict[str, Any]:
        pairs = (each.split("/") for each in self.addresses.get(device, ()))
        shown = [{"local": local, "prefixlen": int(size)} for local, size in pairs]
        kind = {"info_kind": "bridge"} if device in self.bridges else {}
        facts = {"ifname": device, "addr_info": shown, "linkinfo": kind}
        master = self.masters.get(device)
        return facts if master is None else {**facts, "master": master}

    def _change(self, words: list[str], is_6: bool) -> str:
        match words:
            case ["address", "replace", cidr, "dev", device] if device in self.addresses:
                if cidr not in self.addresses[device]:
                    self.addresses[device].append(cidr)
            case ["address", "del", cidr, "dev", device]:
                if cidr not in self.addresses.get(device, ()):
                    return "RTNETLINK answers: Cannot assign requested address"
                self.addresses[device].remove(cidr)
                self._forget_unreachable_gateways()
            case ["link", "set", "master", bridge, "dev", device]:
                self.masters[device] = bridge
            case ["link", "set", "mtu", size, "dev", device]:
                self.mtus[device] = int(size)
            case ["route", "add", *rest]:
                return self._add(_parse(rest))
            case ["route", "del", *rest]:
                return self._delete(_parse(rest))
            case ["address", "replace", *_]:
                return f'Cannot find device "{words[-1]}"'
            case _:
                raise AssertionError(f"ip {words} is not known here ({is_6})")
        return ""

    def _add(self, route: dict[str, Any]) -> str:
        if any(
            _network(each) == _network(route) and not each.get("metric") for each in self.routes
        ):
            return THERE
        if route.get("dev") and route["dev"] not in self.addresses:
            return f'Cannot find device "{route["dev"]}"'
        if not self._is_near(route):
            return NOT_NEAR
        self.routes.append(route)
        return ""

    def _delete(self, route: dict[str, Any]) -> str:
        for each in self.routes:
            if all(each.get(name) == value for name, value in route.items() if name != "flags"):
                self.routes.remove(each)
                return ""
        return NO_SUCH

    def _is_near(self, route: dict[str, Any]) -> bool:
        gateway = route.get("gateway")
        if not gateway or "onlink" in route["flags"]:
            return True
        own = self.addresses.get(route["dev"], ())
        return any(
            ipaddress.ip_address(gateway) in ipaddress.ip_interface(each).network for each in own
        )

    def _forget_unreachable_gateways(self) -> None:
        self.routes = [each for each in self.routes if self._is_near(each)]

    def _best(self, address: str) -> dict[str, Any] | None:
        target = ipaddress.ip_address(address)
        on_link = [
            {"dst": str(own.network), "dev": device, "protocol": "kernel", "flags": []}
            for device, found in self.addresses.items()
            for own in map(ipaddress.ip_interface, found)
        ]
        found = [each for each in (*self.routes, *on_link) if target in _network(each)]
        return min(
            found, key=lambda each: (-_network(each).prefixlen, each.get("metric", 0)), default=None
        )


def _parse(words: list[str]) -> dict[str, Any]:
    """Return the route that the words of `ip route add` or `del` name."""
    route: dict[str, Any] = {"flags": []}
    rest = iter(words)
    for word in rest:
        match word:
            case "unreachable":
                route["type"] = word
                route["dst"] = next(rest)
            case "via":
                gateway = next(rest)
                route["gateway"] = next(rest) if gateway == "inet6" else gateway
            case "dev":
                route["dev"] = next(rest)
            case "src":
                route["prefsrc"] = next(rest)
            case "proto":
                route["protocol"] = next(rest)
            case "onlink":
                route["flags"] = ["onlink"]
            case _:
                route["dst"] = word
    host = ipaddress.ip_network(route["dst"])
    # The kernel's tools show a host without its prefix length.
    if host.prefixlen == host.max_prefixlen:
        route["dst"] = str(host.network_address)
    return route


def _version(route: dict[str, Any]) -> int:
    if route["dst"] == "default":
        return 6 if ":" in route.get("gateway", "") else 4
    return _net(route["dst"]).version


def _network(route: dict[str, Any]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if route["dst"] == "default":
        return _net("::/0" if _version(route) == 6 else "0.0.0.0/0")
    return _net(route["dst"])


def _net(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
