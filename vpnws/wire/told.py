"""What a frame tells of IP addresses: who has one, by ARP, neighbor discovery (ND) or DHCPv4.

A host is believed only of itself: the MAC in an ARP packet must be the frame's source, and of ND
only that source counts. A DHCP server is believed of others. Nothing here is ever taken for proof:
whoever may send frames may tell lies in them.
"""

from __future__ import annotations

from enum import StrEnum
from struct import Struct
from typing import Final, NamedTuple

from vpnws.wire.dhcp import BOOTREPLY, BOOTREQUEST, Kind, Option, Way, read_message, way_of
from vpnws.wire.discovery import (
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
    nd_target,
    nd_type,
    read_arp,
)
from vpnws.wire.ethernet import (
    ADDRESSES_BYTES,
    BROADCAST,
    HEADER_BYTES,
    MAC_BYTES,
    TAG_BYTES,
    is_station_address,
)
from vpnws.wire.headers import (
    ICMPV6,
    IPV4_BYTES,
    TAG_TYPES,
    TYPE_ARP,
    TYPE_IPV4,
    TYPE_IPV6,
    UDP_BYTES,
    Headers,
)

MAX_TOLD_BYTES: Final = 600
"""Frames, or frames in a row with the same addresses, that are longer than this tell nothing: a
DHCP message of 576 bytes (RFC 2131 2), with Ethernet's header and two tags, is not longer."""
_DHCP_BYTES: Final = HEADER_BYTES + IPV4_BYTES + UDP_BYTES + 240
UNICAST_TOLD_BYTES: Final = frozenset(
    (
        *(size + tags for size in (42, 60, 78, 86) for tags in (0, TAG_BYTES, 2 * TAG_BYTES)),
        *range(_DHCP_BYTES, MAX_TOLD_BYTES + 1),
    )
)
"""Lengths of a frame to one host that may tell an address: an ARP reply as it is or padded, ND with
or without a MAC, DHCP. So what most others cost is to see that their length is not one of these."""
MAX_LEASE_S: Final = 86_400
"""A DHCP lease counts for at most a day. Whoever has a longer one renews it or is heard by ARP."""
_ARP: Final = TYPE_ARP.to_bytes(2)
_IPV4: Final = TYPE_IPV4.to_bytes(2)
_IPV6: Final = TYPE_IPV6.to_bytes(2)
_TAGS: Final = tuple(kind.to_bytes(2) for kind in TAG_TYPES)
_LAST_TYPE_AT: Final = ADDRESSES_BYTES + 8
"""Where the type is behind two tags."""
_NEXT_HEADER: Final = bytes((ICMPV6,))
_DHCP_PORTS: Final = (Struct(">HH").pack(67, 68), Struct(">HH").pack(68, 67))
_ARP_OPERATIONS: Final = (1, 2)
"""Request and reply (RFC 826)."""
_NO_ADDRESS: Final = (bytes(4), bytes(16), bytes(15) + b"\x01")
"""What stands for no address (RFC 5227 2.1.1, RFC 4862 5.4.2), and IPv6's loopback."""


class By(StrEnum):
    """How an address was heard."""

    ARP = "arp"
    ND = "nd"
    DHCP = "dhcp"


class Told(NamedTuple):
    """An IP address of a host, as a frame tells it."""

    by: By
    mac: bytes
    ip: bytes
    """4 or 16 bytes."""
    vlans: tuple[int, ...] = ()
    """The VLAN of each tag of the frame, the outer one first."""
    lease_s: int | None = None
    """DHCP: for how long the host may use the address; 0 if it gives it up."""


def may_tell(frame: bytes, type_at: int = ADDRESSES_BYTES) -> bool:
    """Return at a glance whether `frame` is worth `read_told`; `type_at` is where its type is.

    Almost every frame is not. This costs a tenth of reading its headers.
    """
    kind = frame[type_at : type_at + 2]
    if kind == _IPV4:
        # From the type: 2 bytes and IPv4's header without options.
        return frame[type_at + 22 : type_at + 26] in _DHCP_PORTS
    if kind == _IPV6:
        return frame[type_at + 8 : type_at + 9] == _NEXT_HEADER
    if kind == _ARP:
        return True
    return kind in _TAGS and type_at < _LAST_TYPE_AT and may_tell(frame, type_at + 4)


def may_tell_at(buffer: bytes, at: int, size: int) -> bool:
    """Return at a shorter glance whether a frame to one host is worth `may_tell`.

    It begins at `at` and has `size` bytes, one of UNICAST_TOLD_BYTES. Most frames of these lengths
    tell nothing, so this compares single bytes, which is faster than slices: the type is at 12,
    IPv6's next header at 20, the ports behind IPv4's header at 34.
    """
    high = buffer[at + 12]
    if high == 0x08:
        # IPv4 (0x0800) or ARP (0x0806). Shorter IPv4 is no DHCP.
        return buffer[at + 13] != 0 or (
            size >= _DHCP_BYTES and buffer[at + 34 : at + 38] in _DHCP_PORTS
        )
    # IPv6 (0x86DD) tells by ICMPv6 only.
    return high != 0x86 or buffer[at + 20] == ICMPV6


def read_told(frame: bytes) -> Told | None:
    """Return what `frame` tells of an address; None if that is nothing, or not to be believed."""
    if not may_tell(frame):
        return None
    headers = Headers(frame, 0, len(frame))
    source = frame[MAC_BYTES:ADDRESSES_BYTES]
    arp = read_arp(headers)
    if arp is not None:
        is_own = arp.operation in _ARP_OPERATIONS and arp.sender_mac == source
        return _told(By.ARP, source, arp.sender_ip, headers) if is_own else None
    kind = nd_type(headers)
    if kind == NEIGHBOR_SOLICITATION:
        return _told(By.ND, source, headers.source, headers)
    if kind == NEIGHBOR_ADVERTISEMENT:
        return _told(By.ND, source, nd_target(headers) or b"", headers)
    way = way_of(headers) if headers.version == 4 else None
    return _read_dhcp4(frame, headers, way) if way is not None else None


def _told(
    by: By, mac: bytes, ip: bytes, headers: Headers, lease_s: int | None = None
) -> Told | None:
    is_good = is_station_address(mac) and is_hosts(ip)
    return Told(by, mac, ip, headers.vlans, lease_s) if is_good else None


def is_hosts(ip: bytes) -> bool:
    """Return whether one host may have `ip`: not a group's, nor everybody's, nor nobody's."""
    if not ip or ip in _NO_ADDRESS:
        return False
    return ip[0] != 0xFF if len(ip) == 16 else ip[0] < 0xE0 and ip[0] not in (0, 127)


def _read_dhcp4(frame: bytes, headers: Headers, way: Way) -> Told | None:
    """Return whom a server gives an address, or who gives one up (RFC 2131 3.1, 4.4.6)."""
    start, end = headers.transport_at + UDP_BYTES, min(headers.end, headers.size)
    message = read_message(frame[start:end])
    if message is None:
        return None
    mac, kind = message.mac, message.kind
    if way is Way.TO_CLIENT:
        is_for_it = frame[:MAC_BYTES] in (mac, BROADCAST)
        is_ack = message.op == BOOTREPLY and kind == Kind.ACK and is_for_it
        lease_s = message.number(Option.LEASE_S)
        lease_s = MAX_LEASE_S if lease_s is None else min(lease_s, MAX_LEASE_S)
        return _told(By.DHCP, mac, message.yiaddr, headers, lease_s) if is_ack else None
    if message.op != BOOTREQUEST or mac != frame[MAC_BYTES:ADDRESSES_BYTES]:
        return None
    given_up = message.ip(Option.REQUESTED_IP) if kind == Kind.DECLINE else message.ciaddr
    is_given_up = kind in (Kind.DECLINE, Kind.RELEASE)
    return _told(By.DHCP, mac, given_up, headers, 0) if is_given_up else None
