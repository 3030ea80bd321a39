"""Where the TCP or UDP header of a frame stands, and what decides its checksum."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.wire.ethernet import HEADER_BYTES

if TYPE_CHECKING:
    from vpnws.wire.websocket import Buffer

TCP: Final = 6
UDP: Final = 17
CHECKSUM_AT: Final = {TCP: 16, UDP: 6}
"""Where the checksum stands in a TCP (RFC 9293 3.1) and in a UDP header (RFC 768)."""
MIN_HEADER_BYTES: Final = {TCP: 20, UDP: 8}
"""What every TCP and every UDP header has at least."""
TCP_BYTES: Final = MIN_HEADER_BYTES[TCP]
UDP_BYTES: Final = MIN_HEADER_BYTES[UDP]
TYPE_IPV4: Final = 0x0800
TYPE_IPV6: Final = 0x86DD
IPV4_BYTES: Final = 20
IPV6_BYTES: Final = 40
FRAGMENT: Final = 0x3FFF
"""More fragments, and the offset (RFC 791 3.1); a packet with neither is whole."""
TAG_BYTES: Final = 4
MAX_TAGS: Final = 2
"""One tag of IEEE 802.1Q in one of 802.1ad. Behind more tags nothing is offloaded."""
MAX_EXTENSIONS: Final = 4
"""IPv6 extension headers, as many as RFC 8200 4.1 lists without those of fragments and encryption.
Behind more of them nothing is offloaded."""

_TYPE_AT: Final = 12
_VLAN_TYPES: Final = (0x8100, 0x88A8)
_IPV4_HEADER: Final = Struct(">BxH2xHxB")
"""Version and length, total length, fragment offset with its flags, protocol."""
_IPV6_HEADER: Final = Struct(">B3xHB")
"""Version, payload length, next header."""
_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_SOURCE_ROUTES: Final = (131, 137)
_HOP_BY_HOP: Final = 0
_ROUTING: Final = 43
_DESTINATION: Final = 60
_EXTENSIONS: Final = (_HOP_BY_HOP, _ROUTING, _DESTINATION)
_ROUTES_TO_FIRST: Final = (2, 4)
"""Mobile IPv6 (RFC 6275) and segment routing (RFC 8754): the first address is the last stop."""
_UDP_LENGTH_AT: Final = 4
_TCP_OFFSET_AT: Final = 12
_HEX_DIGIT: Final = 0x0F
_UINT16: Final = Struct(">H")


class Layout(NamedTuple):
    """Where things stand in a frame that is a whole TCP or UDP packet, from the frame's start."""

    kind: int
    """The frame's type behind its tags: IPv4 or IPv6."""
    network: int
    """The IP header."""
    transport: int
    """The TCP or UDP header."""
    protocol: int
    end: int
    """Where the packet ends; what follows is padding."""
    destination: int
    """The address that the pseudo-header has: where the packet goes in the end."""


def read_layout(buffer: Buffer, at: int, size: int) -> Layout | None:
    """Find the TCP or UDP header of the frame of `size` bytes that stands at `at` in `buffer`.

    None when there is none that a checksum or a cut could be for: another protocol, a fragment, a
    header cut short, a length past the frame's end, or a source route (RFC 791 3.1).
    """
    network = HEADER_BYTES
    if size < network:
        return None
    (kind,) = _UINT16.unpack_from(buffer, at + _TYPE_AT)
    while kind in _VLAN_TYPES and network < HEADER_BYTES + MAX_TAGS * TAG_BYTES:
        network += TAG_BYTES
        if size < network:
            return None
        (kind,) = _UINT16.unpack_from(buffer, at + network - 2)
    if kind == TYPE_IPV4 and size >= network + IPV4_BYTES:
        return _read_ipv4(buffer, at, size, network)
    if kind == TYPE_IPV6 and size >= network + IPV6_BYTES:
        return _read_ipv6(buffer, at, size, network)
    return None


def _read_ipv4(buffer: Buffer, at: int, size: int, network: int) -> Layout | None:
    first, total, fragment, protocol = _IPV4_HEADER.unpack_from(buffer, at + network)
    header = (first & _HEX_DIGIT) * 4
    transport, end = network + header, network + total
    if first >> 4 != 4 or header < IPV4_BYTES or fragment & FRAGMENT or end > size:
        return None
    if header > IPV4_BYTES and _has_source_route(buffer, at + network + IPV4_BYTES, at + transport):
        return None
    return _checked(buffer, at, Layout(TYPE_IPV4, network, transport, protocol, end, network + 16))


def _has_source_route(buffer: Buffer, at: int, end: int) -> bool:
    """Tell whether options (RFC 791 3.1) route the packet, or cannot be read."""
    if end > len(buffer):
        return True
    while at < end and (kind := buffer[at]) != _END_OF_OPTIONS:
        if kind in _SOURCE_ROUTES:
            return True
        length = 1 if kind == _NO_OPERATION else buffer[at + 1] if at + 1 < end else 0
        if length == 0:
            return True
        at += length
    return False


def _read_ipv6(buffer: Buffer, at: int, size: int, network: int) -> Layout | None:
    first, length, following = _IPV6_HEADER.unpack_from(buffer, at + network)
    transport, destination = network + IPV6_BYTES, network + 24
    end = transport + length
    if first >> 4 != 6 or end > size:
        return None
    for _ in range(MAX_EXTENSIONS):
        if following not in _EXTENSIONS or transport + 8 > end:
            break
        here = at + transport
        if following == _ROUTING and buffer[here + 3]:
            # Segments are left (RFC 8200 4.4): the header's destination is a stop on the way.
            if buffer[here + 2] not in _ROUTES_TO_FIRST or buffer[here + 1] < 2:
                return None
            destination = transport + 8
        following = buffer[here]
        transport += 8 + 8 * buffer[here + 1]
    return _checked(buffer, at, Layout(TYPE_IPV6, network, transport, following, end, destination))


def read_payload_at(buffer: Buffer, at: int, layout: Layout) -> int:
    """Return where the payload stands, from the start of the frame at `at` in `buffer`."""
    if layout.protocol == UDP:
        return layout.transport + MIN_HEADER_BYTES[UDP]
    return layout.transport + (buffer[at + layout.transport + _TCP_OFFSET_AT] >> 4) * 4


def _checked(buffer: Buffer, at: int, layout: Layout) -> Layout | None:
    """Return `layout` when its protocol's header is there, and UDP's tells the same length."""
    least = MIN_HEADER_BYTES.get(layout.protocol)
    if least is None or layout.transport + least > layout.end:
        return None
    if layout.protocol == TCP:
        return layout
    (length,) = _UINT16.unpack_from(buffer, at + layout.transport + _UDP_LENGTH_AT)
    return layout if length == layout.end - layout.transport else None
