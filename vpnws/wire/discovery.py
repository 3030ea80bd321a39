"""How hosts find addresses: reads ARP and neighbor discovery (ND), and tells what asks."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.wire.dhcp import Way, way_of
from vpnws.wire.headers import ADDRESS_BYTES, ICMPV6, TYPE_ARP, TYPE_IPV4, Headers

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

ROUTER_SOLICITATION: Final = 133
ROUTER_ADVERTISEMENT: Final = 134
NEIGHBOR_SOLICITATION: Final = 135
NEIGHBOR_ADVERTISEMENT: Final = 136
REDIRECT: Final = 137

ARP: Final = Struct(">6sH6s4s6s4s")
ARP_START: Final = Struct(">HHBB").pack(1, TYPE_IPV4, 6, 4)
"""Ethernet and IPv4: the kinds and the lengths of the addresses (RFC 826)."""
_ND_TYPES: Final = range(ROUTER_SOLICITATION, REDIRECT + 1)
ND_HOP_LIMIT: Final = 255
"""This hop limit shows that no router forwarded it. Hosts ignore ND with less (RFC 4861 6.1, 7.1,
8.1)."""
_WITH_TARGET: Final = (NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT, REDIRECT)
_TARGET_AT: Final = 8


class Arp(NamedTuple):
    """An ARP packet for IPv4 on Ethernet (RFC 826)."""

    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes


def read_arp(headers: Headers) -> Arp | None:
    """Read an ARP packet for IPv4; None if it is something else."""
    if headers.ethertype != TYPE_ARP or headers.size < headers.network_at + ARP.size:
        return None
    start, *fields = ARP.unpack_from(headers.buffer, headers.at + headers.network_at)
    return Arp(*fields) if start == ARP_START else None


def nd_type(headers: Headers) -> int | None:
    """Return the ICMPv6 type of an ND message (RFC 4861 4); None if it is something else."""
    is_icmpv6 = headers.version == 6 and headers.protocol == ICMPV6
    if not is_icmpv6 or headers.hop_limit != ND_HOP_LIMIT or headers.size <= headers.transport_at:
        return None
    kind = headers.buffer[headers.at + headers.transport_at]
    return kind if kind in _ND_TYPES else None


def nd_target(headers: Headers) -> bytes | None:
    """Return the address that an ND message is about, 16 bytes; None if it has none."""
    start = headers.transport_at + _TARGET_AT
    end = start + ADDRESS_BYTES[6]
    if nd_type(headers) not in _WITH_TARGET or headers.size < end:
        return None
    return bytes(headers.buffer[headers.at + start : headers.at + end])


def is_discovery(frame: Buffer) -> bool:
    """Tell whether a host asks with `frame` for an address, or tells its own: ARP, ND or DHCP."""
    headers = Headers(frame, 0, len(frame))
    if headers.ethertype == TYPE_ARP or nd_type(headers) is not None:
        return True
    return way_of(headers) is Way.TO_SERVER
