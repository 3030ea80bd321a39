"""The routes in DHCPv4 messages: classless ones (RFC 3442), static ones and the router."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.wire.dhcp import MAX_ROUTES, Message, Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOST_PREFIX: Final = 32
_DEFAULT: Final = IPv4Network("0.0.0.0/0")
_IP_BYTES: Final = 4


class Route(NamedTuple):
    """A network, and the router on the way to it; 0.0.0.0 if it is on the link itself."""

    network: IPv4Network
    router: IPv4Address


def routes_of(message: Message) -> list[Route]:
    """Return the routes of a message, MAX_ROUTES at most; a broken rest is left out.

    Where there are classless ones, the others and the routers count for nothing (RFC 3442).
    """
    classless = message.options.get(Option.CLASSLESS_ROUTES)
    found = _read_old(message) if classless is None else _read_classless(classless)
    return list(islice(found, MAX_ROUTES))


def is_default(route: Route) -> bool:
    """Return whether a route is for everything that has no other."""
    return route.network == _DEFAULT


def encode_routes(routes: Iterable[Route]) -> bytes:
    """Write the value of option 121; of each network only the bytes that tell it (RFC 3442)."""
    return b"".join(
        bytes((network.prefixlen,))
        + network.network_address.packed[: _significant(network.prefixlen)]
        + router.packed
        for network, router in routes
    )


def _significant(prefix: int) -> int:
    return (prefix + 7) // 8


def _read_classless(data: bytes) -> Iterator[Route]:
    at = 0
    while at < len(data) and data[at] <= _HOST_PREFIX:
        prefix, start = data[at], at + 1
        router_at = start + _significant(prefix)
        if router_at + _IP_BYTES > len(data):
            return
        first = IPv4Address(data[start:router_at].ljust(_IP_BYTES, b"\0"))
        at = router_at + _IP_BYTES
        # Bits behind the prefix count for nothing.
        yield Route(IPv4Network((first, prefix), strict=False), IPv4Address(data[router_at:at]))


def _read_old(message: Message) -> Iterator[Route]:
    """Yield the static routes, each to one host, and the default route by the first router."""
    data = message.options.get(Option.STATIC_ROUTES, b"")
    for at in range(0, len(data) - 2 * _IP_BYTES + 1, 2 * _IP_BYTES):
        host, router = data[at : at + _IP_BYTES], data[at + _IP_BYTES : at + 2 * _IP_BYTES]
        yield Route(IPv4Network(host), IPv4Address(router))
    routers = message.ip(Option.ROUTERS)
    if any(routers):
        yield Route(_DEFAULT, IPv4Address(routers))
