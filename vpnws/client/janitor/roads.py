"""Finds the road to an address that does not lead through the VPN, among the kernel's routes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vpnws.client.janitor.programs import ask_ip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vpnws.client.janitor.programs import Runner

ROUTE_PROTOCOL: Final = "118"
"""The origin that the kernel notes with each of our routes (`ip route show proto 118`). No program
of rt_protos(5) has this number."""
_OURSELVES: Final = frozenset(("local", "broadcast", "anycast", "multicast"))
"""Types of routes that no gateway is on."""


@dataclass(frozen=True, slots=True)
class Road:
    """How packets leave: by a gateway and a device; without a device they do not."""

    device: str = ""
    gateway: str = ""
    source: str = ""
    """The address that they leave from, if the route names one."""
    is_onlink: bool = False
    """Whether the gateway counts as near, whatever addresses the device has."""


def road_without(runner: Runner, address: str, tap: str) -> Road | None:
    """Return the road to `address` that leads neither through `tap` nor by a route of ours.

    None if there is nothing to decide: a route to exactly this address is there, or it is our own.
    """
    family = family_of(address)
    asked = ask_ip(runner, family, "route", "get", "fibmatch", address)
    # The kernel's answer counts rules and all tables. One that is ours says nothing.
    if asked and not _is_ours(asked[0], tap):
        return _read(asked[0], address)
    routes = ask_ip(runner, family, "route", "show") or []
    best = _best((each for each in routes if not _is_ours(each, tap)), address)
    return Road() if best is None else _read(best, address)


def family_of(address: str) -> str:
    """Return the option by which `ip` is asked about the family of an address or network."""
    return "-6" if ":" in address else "-4"


def gateway_of(route: Mapping[str, Any]) -> str:
    """Return the gateway that `ip` shows of a route, which may be of another family; or empty."""
    return str(route.get("gateway") or route.get("via", {}).get("host", ""))


def _is_ours(route: Mapping[str, Any], tap: str) -> bool:
    return route.get("dev") == tap or str(route.get("protocol")) == ROUTE_PROTOCOL


def _best(routes: Iterable[Mapping[str, Any]], address: str) -> Mapping[str, Any] | None:
    """Return the route that the kernel would choose for `address`."""
    target = ipaddress.ip_address(address)
    found = [each for each in routes if target in _network(each, target.version)]
    alive = [each for each in found if "dead" not in each.get("flags", ())]
    return min(alive, key=lambda each: _rank(each, target.version), default=None)


def _rank(route: Mapping[str, Any], version: int) -> tuple[bool, int, int]:
    """Return the place of a route: with a carrier, exact ones and cheap ones come first."""
    is_down = "linkdown" in route.get("flags", ())
    return is_down, -_network(route, version).prefixlen, int(route.get("metric", 0))


def _network(
    route: Mapping[str, Any], version: int
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    text = str(route.get("dst", "default"))
    everything = "::/0" if version == 6 else "0.0.0.0/0"
    return ipaddress.ip_network(everything if text == "default" else text, strict=False)


def _read(route: Mapping[str, Any], address: str) -> Road | None:
    kind = str(route.get("type", "unicast"))
    if kind in _OURSELVES or str(route.get("dst")) == address:
        return None
    if kind != "unicast":
        return Road()
    # Of several next hops any will do, and the first one is there.
    hop = {**route, **(route.get("nexthops") or [{}])[0]}
    flags = hop.get("flags", ())
    return Road(
        str(hop.get("dev", "")), gateway_of(hop), str(hop.get("prefsrc", "")), "onlink" in flags
    )
