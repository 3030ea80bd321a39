"""Builds the frame that a trace follows in thought: ARP, ND, IPv4, IPv6 or any other EtherType."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import Final, NamedTuple

from vpnws.wire.discovery import (
    ARP,
    ARP_START,
    ND_HOP_LIMIT,
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
)
from vpnws.wire.ethernet import BROADCAST, HEADER_BYTES
from vpnws.wire.headers import ICMPV6, IPV4_BYTES, TYPE_ARP, TYPE_IPV4, TYPE_IPV6

SHORTEST_BYTES: Final = 60
"""A frame on a wire has at least this length, without FCS."""
LONGEST_BYTES: Final = 65535
MIN_ETHERTYPE: Final = 0x0600
"""Below this, the field is a length (IEEE 802.3 3.2.6)."""
ARP_NAME, ND_NAME, IPV4_NAME, IPV6_NAME = "arp", "nd", "ipv4", "ipv6"
_NAMED: Final = {
    ARP_NAME: TYPE_ARP,
    ND_NAME: TYPE_IPV6,
    IPV4_NAME: TYPE_IPV4,
    IPV6_NAME: TYPE_IPV6,
}
_ETHERNET: Final = Struct(">6s6sH")
_IPV4: Final = Struct(">BBHHHBBH4s4s")
_IPV6: Final = Struct(">IHBB16s16s")
_ND: Final = Struct(">BBHI16s")
_REQUEST, _REPLY = 1, 2
"""ARP's operations."""
_ICMP: Final = 1
_TTL: Final = 64
_SOLICITED: Final = bytes.fromhex("ff02" + 9 * "00" + "01ff")
"""How the group begins that a host with an address hears (RFC 4291 2.7.1)."""
_LINK_LOCAL: Final = bytes.fromhex("fe80" + 14 * "00")
_GROUP_MAC: Final = b"\x33\x33"
"""How the MAC of an IPv6 group begins (RFC 2464 7)."""


class Ether(NamedTuple):
    """What kind of frame a trace follows."""

    name: str
    """arp, nd, ipv4, ipv6, or the EtherType as in 0x88cc."""
    number: int

    @property
    def is_question(self) -> bool:
        """Whether it asks all hosts who has an address, and its answer goes to one of them."""
        return self.name in (ARP_NAME, ND_NAME)


def parse_ether(text: str) -> Ether:
    """Read a name or a number. Raises ValueError with what is allowed."""
    name = text.strip().lower()
    if name in _NAMED:
        return Ether(name, _NAMED[name])
    try:
        number = int(name.removeprefix("0x"), 16)
    except ValueError:
        number = 0
    if not MIN_ETHERTYPE <= number <= 0xFFFF:
        raise ValueError(
            f"{text[:20]!r} is no kind of frame: it is {', '.join(_NAMED)}, or an EtherType in"
            " hexadecimal from 0x0600 to 0xffff"
        )
    return Ether(f"0x{number:04x}", number)


def question(ether: Ether, source: bytes, to_ip: str, size_bytes: int) -> bytes:
    """Return the frame that asks all hosts who has `to_ip`: of ARP or ND, to its group.

    An address of the other version, or none, counts as the unspecified one.
    """
    if ether.name == ARP_NAME:
        packet = ARP.pack(ARP_START, _REQUEST, source, bytes(4), bytes(6), _packed(to_ip, 4))
        return _frame(BROADCAST, source, ether, packet, size_bytes)
    target = _packed(to_ip, 6)
    group = _SOLICITED + target[-3:]
    packet = _nd(NEIGHBOR_SOLICITATION, group, target)
    return _frame(_GROUP_MAC + group[-4:], source, ether, packet, size_bytes)


def message(ether: Ether, source: bytes, destination: bytes, to_ip: str, size_bytes: int) -> bytes:
    """Return a frame of at least `size_bytes` from one MAC to another; of ARP or ND, an answer."""
    if ether.name == ARP_NAME:
        ip = _packed(to_ip, 4)
        packet = ARP.pack(ARP_START, _REPLY, source, bytes(4), destination, ip)
    elif ether.name == ND_NAME:
        packet = _nd(NEIGHBOR_ADVERTISEMENT, _LINK_LOCAL, bytes(16))
    elif ether.number == TYPE_IPV4:
        length = min(max(size_bytes - HEADER_BYTES, IPV4_BYTES), 0xFFFF)
        ip = _packed(to_ip, 4)
        packet = _IPV4.pack(0x45, 0, length, 0, 0, _TTL, _ICMP, 0, bytes(4), ip)
    elif ether.number == TYPE_IPV6:
        packet = _ipv6(ICMPV6, _TTL, _packed(to_ip, 6), b"")
    else:
        packet = b""
    return _frame(destination, source, ether, packet, size_bytes)


def _frame(
    destination: bytes, source: bytes, ether: Ether, packet: bytes, size_bytes: int
) -> bytes:
    header = _ETHERNET.pack(destination, source, ether.number)
    return (header + packet).ljust(size_bytes, b"\0")


def _nd(kind: int, destination: bytes, target: bytes) -> bytes:
    return _ipv6(ICMPV6, ND_HOP_LIMIT, destination, _ND.pack(kind, 0, 0, 0, target))


def _ipv6(protocol: int, hop_limit: int, destination: bytes, payload: bytes) -> bytes:
    head = _IPV6.pack(6 << 28, len(payload), protocol, hop_limit, bytes(16), destination)
    return head + payload


def _packed(address: str, version: int) -> bytes:
    """Return an address, or the unspecified one if it is none of this version."""
    unspecified = IPv4Address(0) if version == 4 else IPv6Address(0)
    try:
        parsed = ip_address(address)
    except ValueError:
        return unspecified.packed
    return (parsed if parsed.version == version else unspecified).packed
