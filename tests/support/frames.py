"""Builds Ethernet frames and the packets in them, field by field, right or wrong.

It shares no code with vpnws, so that both cannot be wrong in the same way. Checksums are added up
word by word.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

Address: TypeAlias = "str | int | bytes"
Addresses: TypeAlias = "tuple[Address, Address]"
"""Source and destination."""
Tag: TypeAlias = "int | tuple[int, int]"
"""The type of an 802.1Q tag, or its type and its tag control information."""

IPV4, ARP, DOT1Q, IPV6, DOT1AD, EXPERIMENT = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88A8, 0x88B5
"""EtherTypes; no kernel looks into a frame of the last one (IEEE 802 local experiments)."""
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
"""IPv6 extension headers."""
NOT_ECT, ECT_1, ECT_0, CE = 0, 1, 2, 3
"""The last two bits of a traffic class (RFC 3168)."""
FIN, SYN, PSH, ACK, ECE, CWR = 0x01, 0x02, 0x08, 0x10, 0x40, 0x80
ARP_REQUEST, ARP_REPLY = 1, 2
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT = 133, 134, 135, 136
"""ICMPv6 types of neighbor discovery (RFC 4861)."""
DHCP_SERVER_PORT, DHCP_CLIENT_PORT = 67, 68
DISCOVER, OFFER, DHCP_REQUEST, DHCP_ACK = 1, 2, 3, 5
"""DHCP message types (RFC 2132 9.6)."""

MACS: Final = bytes.fromhex("020000000001020000000002")
"""Destination and source."""
ADDRESSES: Final = ("10.0.0.1", "10.0.0.2")
ADDRESSES_6: Final = ("::1", "::2")
PORTS: Final = (1000, 2000)
_VLAN: Final = 7
_LINK_LAYER_SOURCE, _LINK_LAYER_TARGET = b"\x01\x01", b"\x02\x01"
_DHCP_COOKIE: Final = bytes.fromhex("63825363")


def mac(number: int) -> bytes:
    """Return a station's address that ends in `number`."""
    return b"\x02\x00\x00\x00" + number.to_bytes(2, "big")


def frame(destination: bytes, source: bytes, size: int = 60, kind: int = IPV4) -> bytes:
    """Return a frame of `size` bytes; its payload repeats the source's last byte."""
    return (destination + source + kind.to_bytes(2, "big")).ljust(size, source[-1:])


def ethernet(kind: int, payload: bytes, tags: tuple[Tag, ...] = (), macs: bytes = MACS) -> bytes:
    """Put an Ethernet header, with these tags, before `payload`; the first tag is the outer one."""
    return macs + tag_bytes(*tags) + kind.to_bytes(2, "big") + payload


def tagged(whole: bytes, *tags: Tag) -> bytes:
    """Return the frame with tags between its addresses and the rest."""
    return whole[:12] + tag_bytes(*tags) + whole[12:]


def tag_bytes(*tags: Tag) -> bytes:
    """Return 802.1Q tags; a tag that is given by its type alone has VLAN 7."""
    pairs = (tag if isinstance(tag, tuple) else (tag, _VLAN) for tag in tags)
    return b"".join(struct.pack(">HH", *pair) for pair in pairs)


def add_words(data: bytes) -> int:
    """Return the ones' complement sum of `data` (RFC 1071), padded to whole words."""
    total = 0
    for (word,) in struct.iter_unpack(">H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    """Return the Internet checksum of `data` (RFC 1071); it is 0 if `data` holds its own."""
    return 0xFFFF - add_words(data)


def ipv4(
    payload: bytes = b"",
    *,
    protocol: int = UDP,
    ports: tuple[int, ...] = PORTS,
    addresses: Addresses = ADDRESSES,
    service: int = NOT_ECT,
    fragment: int = 0,
    options: bytes = b"",
    tags: tuple[Tag, ...] = (),
    macs: bytes = MACS,
) -> bytes:
    """Return a frame with an IPv4 packet whose header checksum is right.

    `ports` stand before `payload`, as they do in TCP and UDP; pass () when `payload` is a whole
    datagram.
    """
    body = b"".join(port.to_bytes(2, "big") for port in ports) + payload
    header = ipv4_header(len(body), protocol, addresses, service, fragment, options)
    return ethernet(IPV4, header + body, tags, macs)


def ipv6(
    payload: bytes = b"",
    *,
    protocol: int = UDP,
    ports: tuple[int, ...] = PORTS,
    addresses: Addresses = ADDRESSES_6,
    service: int = NOT_ECT,
    hops: int = 64,
    extensions: tuple[tuple[int, bytes], ...] = (),
    tags: tuple[Tag, ...] = (),
    macs: bytes = MACS,
) -> bytes:
    """Return a frame with an IPv6 packet; `ports` are as with `ipv4`."""
    body = b"".join(port.to_bytes(2, "big") for port in ports) + payload
    header = ipv6_header(len(body), protocol, addresses, service, hops, extensions)
    return ethernet(IPV6, header + body, tags, macs)


def ipv4_header(
    payload_bytes: int,
    protocol: int,
    addresses: Addresses,
    service: int = NOT_ECT,
    fragment: int = 0,
    options: bytes = b"",
    *,
    number: int = 1,
    hops: int = 64,
) -> bytes:
    """Return an IPv4 header with its checksum (RFC 791).

    `fragment` is the field of flags and offset, `number` the identification.
    """
    size = 20 + len(options)
    length = size + payload_bytes & 0xFFFF
    fields = (0x40 | size // 4, service, length, number, fragment, hops, protocol)
    ends = b"".join(map(_packed, addresses)) + options
    check = checksum(struct.pack(">BBHHHBBH", *fields, 0) + ends)
    return struct.pack(">BBHHHBBH", *fields, check) + ends


def ipv6_header(
    payload_bytes: int,
    protocol: int,
    addresses: Addresses,
    service: int = NOT_ECT,
    hops: int = 64,
    extensions: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """Return an IPv6 header and its extension headers (RFC 8200).

    Each extension is a kind and a body without its first two bytes: 6, 14, 22, ... bytes.
    """
    kinds = [*(kind for kind, _ in extensions), protocol]
    chain = b"".join(
        bytes((following, (len(body) + 2) // 8 - 1)) + body
        for following, (_, body) in zip(kinds[1:], extensions, strict=True)
    )
    first = 6 << 28 | service << 20 | 0x12345
    head = struct.pack(">IHBB", first, len(chain) + payload_bytes, kinds[0], hops)
    return head + b"".join(map(_packed_6, addresses)) + chain


def pseudo_header(protocol: int, addresses: tuple[bytes, bytes], length_bytes: int) -> bytes:
    """Return the pseudo-header that checksums of TCP, UDP and ICMPv6 also cover (RFC 8200 8.1).

    The one of IPv4 (RFC 9293 3.1) differs in zeros only, so it has the same sum.
    """
    return b"".join(addresses) + struct.pack(">II", length_bytes, protocol)


def udp(
    payload: bytes = b"", ports: tuple[int, int] = PORTS, *, check: int = 0, length: int = -1
) -> bytes:
    """Return a UDP datagram; `length` is computed unless it is given."""
    length = 8 + len(payload) if length < 0 else length
    return struct.pack(">HHHH", *ports, length, check) + payload


def tcp(
    payload: bytes = b"",
    ports: tuple[int, int] = PORTS,
    *,
    sequence: int = 1000,
    flags: int = ACK,
    options: bytes = b"",
    check: int = 0,
    urgent: int = 0,
) -> bytes:
    """Return a TCP segment."""
    offset = (20 + len(options)) // 4 << 4
    fields = (*ports, sequence, 77, offset, flags, 501, check, urgent)
    return struct.pack(">HHIIBBHHH", *fields) + options + payload


def arp(
    operation: int,
    sender: tuple[bytes, Address],
    target: tuple[bytes, Address],
    *,
    macs: bytes = MACS,
) -> bytes:
    """Return an ARP packet in a frame (RFC 826); an end is its MAC and its IPv4 address."""
    head = struct.pack(">HHBBH", 1, IPV4, 6, 4, operation)
    ends = (own + _packed(address) for own, address in (sender, target))
    return ethernet(ARP, head + b"".join(ends), macs=macs)


def neighbor(
    kind: int,
    target: Address,
    link_layer: bytes = b"",
    *,
    addresses: Addresses = ADDRESSES_6,
    hops: int = 255,
    macs: bytes = MACS,
    flags: int = 0x60000000,
) -> bytes:
    """Return a neighbor solicitation or advertisement in a frame (RFC 4861 4.3, 4.4).

    `link_layer` is the MAC in its option; empty means no option. Only an advertisement has `flags`.
    """
    option = _LINK_LAYER_SOURCE if kind == SOLICITATION else _LINK_LAYER_TARGET
    flags = 0 if kind == SOLICITATION else flags
    rest = struct.pack(">I", flags) + _packed_6(target)
    rest += option + link_layer if link_layer else b""
    return icmpv6(kind, rest, addresses=addresses, hops=hops, macs=macs)


def router_advertisement(
    lifetime_s: int = 1800, *, addresses: Addresses = ("fe80::1", "ff02::1"), macs: bytes = MACS
) -> bytes:
    """Return a router advertisement without options in a frame (RFC 4861 4.2)."""
    rest = struct.pack(">BBHII", 64, 0, lifetime_s, 0, 0)
    return icmpv6(ROUTER_ADVERTISEMENT, rest, addresses=addresses, hops=255, macs=macs)


def icmpv6(
    kind: int,
    rest: bytes,
    *,
    addresses: Addresses = ADDRESSES_6,
    hops: int = 64,
    extensions: tuple[tuple[int, bytes], ...] = (),
    macs: bytes = MACS,
) -> bytes:
    """Return an ICMPv6 message of code 0 in a frame (RFC 4443 2.1); `rest` follows its checksum."""
    source, destination = map(_packed_6, addresses)
    head = bytes((kind, 0))
    pseudo = pseudo_header(ICMPV6, (source, destination), 4 + len(rest))
    check = checksum(pseudo + head + b"\0\0" + rest).to_bytes(2, "big")
    return ipv6(
        head + check + rest,
        protocol=ICMPV6,
        ports=(),
        addresses=addresses,
        hops=hops,
        extensions=extensions,
        macs=macs,
    )


def dhcp(
    kind: int,
    client: bytes,
    *,
    address: Address = 0,
    addresses: Addresses = ("0.0.0.0", "255.255.255.255"),
    macs: bytes = MACS,
) -> bytes:
    """Return a DHCP message in a frame (RFC 2131 2), a server's if `kind` is OFFER or DHCP_ACK.

    `client` is the station's MAC, `address` the one it is offered.
    """
    is_reply = kind in (OFFER, DHCP_ACK)
    head = struct.pack(">BBBBIHH", 2 if is_reply else 1, 1, 6, 0, 0x1234, 0, 0x8000)
    fields = bytes(4) + _packed(address) + bytes(8) + client.ljust(16, b"\0")
    options = _DHCP_COOKIE + bytes((53, 1, kind, 255))
    client_to_server = (DHCP_CLIENT_PORT, DHCP_SERVER_PORT)
    ports = client_to_server[::-1] if is_reply else client_to_server
    datagram = udp(head + fields + bytes(64 + 128) + options, ports)
    return ipv4(datagram, ports=(), addresses=addresses, macs=macs)


@lru_cache(1024)
def _packed(address: Address) -> bytes:
    return IPv4Address(address).packed


@lru_cache(1024)
def _packed_6(address: Address) -> bytes:
    return IPv6Address(address).packed
