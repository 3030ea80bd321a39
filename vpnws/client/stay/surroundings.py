"""Where this machine is in the world: its way to the server, its default routes, its cable."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vpnws.tap.netdevice import is_running
from vpnws.tap.ways import DefaultRoute, Way, default_routes, has_address, way_to

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How this machine is connected at some moment, as far as it concerns one server."""

    way: Way | None
    """The way to the server, None if there is none or the server's address is not known."""
    defaults: tuple[DefaultRoute, ...] = ()
    """The best default route of each IP version, without those into the VPN."""
    has_cable: bool = False
    """Whether the device of `way`, or of a default route, can send."""
    has_source: bool = True
    """Whether this machine still has the address that the connection was made from."""


def look_around(server: str, source: bytes, tap_name: str) -> Surroundings:
    """Return how this machine is connected now.

    `server` is the server's IP address, empty if it is not known; `source` the address that the
    connection was made from, empty without a connection. Devices called `tap_name` are the VPN.
    """
    way = way_to(server) if server else None
    if way is not None and way.device == tap_name:
        way = None
    defaults = default_routes(without=tap_name)
    devices = [way.device] if way is not None else [route.device for route in defaults]
    return Surroundings(
        way=way,
        defaults=defaults,
        has_cable=any(is_running(device) for device in devices),
        has_source=not source or has_address(source),
    )


def connection_is_stale(then: Surroundings, now: Surroundings) -> str:
    """Return why a connection that was made `then` is of no use `now`, empty if it may be.

    A way that is gone is no reason: it may come back, and the connection outlives that. A way into
    the VPN itself is none, and counts as gone. Neither is another address to send from while the
    old one is there: IPv6 changes it every day (RFC 8981), and leaves connections the old one.
    """
    if not now.has_source and then.way is not None:
        return f"this machine has lost the address {_text(then.way.source)}"
    if then.way is None:
        return ""
    if now.way is not None and _hop(now.way) != _hop(then.way):
        return f"the way to the server has changed: {_way_text(then.way, now.way)}"
    return _other_router(then, now, then.way)


def may_connect_now(then: Surroundings, now: Surroundings) -> bool:
    """Return whether an attempt that failed `then` may succeed `now`."""
    return now != then and now.has_cable


def cable_is_back(then: Surroundings, now: Surroundings) -> bool:
    """Return whether the device of the connection can send again."""
    return now.has_cable and not then.has_cable


def _other_router(then: Surroundings, now: Surroundings, way: Way) -> str:
    """Return why another default route makes a connection stale whose own `way` is not another.

    That way is then a route of its own, such as one that pins the server beside a default route
    into the VPN; if its device was set down, it is gone. Whoever is on the own link is reached
    without any default route.
    """
    if not way.gateway:
        return ""
    version = 4 if len(way.source) == 4 else 6
    routers = [
        [(route.device, route.gateway) for route in each.defaults if route.version == version]
        for each in (then, now)
    ]
    return (
        "this machine has another default route"
        if all(routers) and routers[0] != routers[1]
        else ""
    )


def _hop(way: Way) -> tuple[int, bytes]:
    """Return where a packet goes first."""
    return way.index, way.gateway


def _way_text(then: Way, now: Way) -> str:
    if now.device != then.device:
        return f"by {now.device} instead of {then.device}"
    return f"by another router on {now.device}"


def _text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed)) if len(packed) in (4, 16) else "it had"


Look: TypeAlias = "Callable[[str, bytes, str], Surroundings]"
"""`look_around`, or what stands for it in a test."""
