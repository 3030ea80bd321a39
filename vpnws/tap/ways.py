"""Asks the kernel which way it would take to an address, and which default routes it has.

One question to rtnetlink(7) and a short answer: a library for it (pyroute2) would be larger than
the client. The default routes come from /proc, where the kernel has them as text.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.tap.routes import usable_routes
from vpnws.tap.rtnetlink import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ROUTES_BYTES: Final = 65536
"""So much of each of the kernel's lists of routes is read; a default route behind is not seen."""
_RTM_NEWROUTE: Final = 24
_RTM_GETROUTE: Final = 26
_RTMSG: Final = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, length of the destination, and what a question leaves 0."""
_ATTRIBUTE: Final = struct.Struct("=HH")
"""struct rtattr: length and type."""
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_VIA = 1, 4, 5, 7, 18
_INDEX: Final = struct.Struct("=I")

IpAddress: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"


@dataclass(frozen=True, slots=True)
class Way:
    """The way that the kernel takes to an address."""

    index: int
    """The number of the device that it leaves by."""
    gateway: bytes
    """The router's address, empty if the address is on the device's own link."""
    source: bytes
    """The address that this machine sends from."""
    device: str = field(compare=False)
    """The device's name, for messages; it may have been renamed since."""


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of this machine, as the kernel writes it in /proc."""

    version: int
    """4 or 6, for IPv4 or IPv6."""
    metric: int
    device: str
    gateway: str


def way_to(address: str) -> Way | None:
    """Return the way to an IP `address`, None if there is none or nobody can be asked.

    Nothing is sent to the address.
    """
    ip = ipaddress.ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    question = _RTMSG.pack(family, ip.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    try:
        question += _attribute(_RTA_DST, ip.packed) + _zone(ip)
        kind, answer = ask(_RTM_GETROUTE, question)
    except OSError:
        return None
    return _read_way(answer) if kind == _RTM_NEWROUTE else None


def default_routes(without: str = "") -> tuple[DefaultRoute, ...]:
    """Return the best default route of each IP version, but none through the device `without`."""
    usable = [
        DefaultRoute(each.network.version, each.metric, each.device, each.gateway)
        for each in usable_routes(MAX_ROUTES_BYTES)
        if each.network.prefixlen == 0 and each.device != without
    ]
    of_each = ([route for route in usable if route.version == version] for version in (4, 6))
    return tuple(min(routes, key=lambda route: route.metric) for routes in of_each if routes)


def has_address(packed: bytes) -> bool:
    """Return whether this machine has the IP address `packed`; also if that cannot be told."""
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    address = ipaddress.ip_address(packed)
    if address.is_link_local:
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((str(address), 0))
        except OSError:
            return False
    return True


def _zone(ip: IpAddress) -> bytes:
    """Return the attribute for the device that an IPv6 zone names. Raises OSError."""
    zone = ip.scope_id if isinstance(ip, ipaddress.IPv6Address) else None
    if zone is None:
        return b""
    index = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return _attribute(_RTA_OIF, _INDEX.pack(index))


def _read_way(answer: bytes) -> Way | None:
    found = dict(_attributes(answer[_RTMSG.size :]))
    if _RTA_OIF not in found:
        return None
    index = _INDEX.unpack(found[_RTA_OIF])[0]
    gateway = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")
    try:
        name = socket.if_indextoname(index)
    except OSError:
        return None
    return Way(index, gateway, found.get(_RTA_PREFSRC, b""), name)


def _attribute(kind: int, content: bytes) -> bytes:
    # All contents here have a multiple of 4 bytes, so there is nothing to pad.
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind) + content


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each attribute (rtnetlink(7))."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
