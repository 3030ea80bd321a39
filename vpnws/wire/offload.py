"""A record's virtio header: whether it is true of its frame, and doing the work that it leaves.

With the header (virtio 1.2, 5.1.6) a frame may have up to 64 KiB of TCP or UDP payload, to be cut
into packets of `gso_size` bytes, or a checksum that is not complete yet.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import HEADER_BYTES, MAX_TAGS_BYTES, TAG_BYTES
from vpnws.wire.headers import (
    IPV4_BYTES,
    IPV6_BYTES,
    MIN_HEADER_BYTES,
    TCP,
    TCP_BYTES,
    UDP,
    UDP_BYTES,
    Headers,
    is_shortest_ipv4,
    is_shortest_ipv6,
)
from vpnws.wire.records import MAX_FRAME_BYTES, NOTHING_TO_DO, VNET_BYTES, encode_record
from vpnws.wire.segment import CHECKSUM_AT, complete, complete_partial, cut

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

MAX_SEGMENTS: Final = 128
"""How many packets one record may become: as many as a UDP socket may ask the kernel for
(UDP_MAX_SEGMENTS). A record that would become more is not sound."""

VNET: Final = Struct("<BBHHHH")
"""virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""
NEEDS_CSUM: Final = 1
DATA_VALID: Final = 2
GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
GSO_UDP_L4: Final = 5
GSO_ECN: Final = 0x80

_VALID: Final = VNET.pack(DATA_VALID, GSO_NONE, 0, 0, 0, 0)
"""The virtio header of a complete frame whose checksum somebody has verified."""
_COMPLETE: Final = (NOTHING_TO_DO, _VALID)
MIN_GSO_BYTES: Final = 256
"""Payload of each packet that a record is cut into. A record that asks for less is not sound:
cutting costs by the packet, and a stranger could ask for 128 packets of one byte, a thousand times
in one message. No path has a smaller MSS: IPv4 guarantees 536 bytes and IPv6 1,220."""
_SEGMENTS: Final = range(2, MAX_SEGMENTS + 1)
"""How many packets a record that is cut may become. The kernel drops some that become only one."""
_OWN_SEGMENTS: Final = range(1, MAX_FRAME_BYTES)
"""The same for a frame from our own kernel: any number, because `fit` cuts it."""
_MAX_PADDED_BYTES: Final = 60 + MAX_TAGS_BYTES
"""The shortest frame of IEEE 802.3 without FCS, with tags. Only up to this length may a frame be
longer than its packet; otherwise it is not sound."""
_GSO_TYPES: Final = {
    (4, TCP): (GSO_TCPV4, GSO_TCPV4 | GSO_ECN),
    (6, TCP): (GSO_TCPV6, GSO_TCPV6 | GSO_ECN),
    (4, UDP): (GSO_UDP_L4,),
    (6, UDP): (GSO_UDP_L4,),
}


def is_sound(vnet: bytes, buffer: Buffer, at: int, size: int, max_packet_bytes: int) -> bool:
    """Return whether `vnet` is true of the frame of `size` bytes at `at` in `buffer`. Never raises.

    `max_packet_bytes` bounds every packet that the frame would become, Ethernet header included.
    Cutting a sound record, or completing its checksum, changes no address and no port, and makes at
    most MAX_SEGMENTS packets. Fields that a record does not use must be zero, as Linux writes them
    (virtio 1.2, 5.1.6.2).
    """
    if not HEADER_BYTES <= size <= MAX_FRAME_BYTES or len(buffer) - at < size:
        return False
    if vnet in _COMPLETE:
        return size <= max_packet_bytes
    common = _COMMON.get(vnet)
    if common is not None:
        is_shortest, protocol = common
        if is_shortest(buffer, at, size, protocol):
            return size <= max_packet_bytes
    if len(vnet) != VNET_BYTES:
        return False
    _, gso_type, _, gso_size, _, _ = VNET.unpack(vnet)
    is_long = gso_type == GSO_NONE or gso_size >= MIN_GSO_BYTES
    return is_long and _is_true(vnet, buffer, at, size, max_packet_bytes, _SEGMENTS)


def segment_count(vnet: bytes, size: int) -> int:
    """Return how many packets a sound record becomes; its frame has `size` bytes.

    TCP options count as payload, so the number may be too high, but never too low.
    """
    if not vnet[1]:
        return 1
    _, gso_type, _, gso_size, start, _ = VNET.unpack(vnet)
    headers = start + (UDP_BYTES if gso_type == GSO_UDP_L4 else TCP_BYTES)
    count: int = -(-(size - headers) // gso_size)
    return count


def plain_frames(vnet: bytes, frame: bytes) -> list[bytes]:
    """Return what `frame` is on a wire: cut into packets, with every checksum complete.

    Call it only with what `is_sound` accepts. A partial checksum is not trusted; it is computed
    again. Raises ValueError if work is left to do and the frame is not a whole TCP or UDP packet.
    """
    if vnet in _COMPLETE:
        return [frame]
    headers = Headers(frame, 0, len(frame))
    if not headers.is_whole:
        raise ValueError("the record is not sound")
    _, gso_type, _, gso_size, _, _ = VNET.unpack(vnet)
    return [complete(frame, headers)] if gso_type == GSO_NONE else cut(frame, headers, gso_size)


def fit(vnet: bytes, frame: bytes, max_packet_bytes: int) -> list[bytes]:
    """Return the records for a frame that our own kernel handed out with `vnet`.

    Usually this is one record. Others do not accept a frame of more than MAX_SEGMENTS packets, or
    one whose checksum only the kernel can place (another protocol, a source route): such a frame
    becomes complete frames. Empty if that fails, or if a packet is longer than `max_packet_bytes`.
    """
    size = len(frame)
    if is_sound(vnet, frame, 0, size, max_packet_bytes):
        return [encode_record(frame, vnet)]
    if len(vnet) != VNET_BYTES or not HEADER_BYTES <= size <= MAX_FRAME_BYTES:
        return []
    if _is_true(vnet, frame, 0, size, max_packet_bytes, _OWN_SEGMENTS):
        return [encode_record(packet) for packet in plain_frames(vnet, frame)]
    flags, gso_type, _, _, start, offset = VNET.unpack(vnet)
    field = start + offset
    if flags != NEEDS_CSUM or gso_type != GSO_NONE or field + 2 > size or size > max_packet_bytes:
        return []
    return [encode_record(complete_partial(frame, start, field))]


def _is_true(
    vnet: bytes, buffer: Buffer, at: int, size: int, max_packet_bytes: int, segments: range
) -> bool:
    """Return whether `vnet`, which leaves a checksum to do, is true in every field."""
    flags, gso_type, headers_bytes, gso_size, start, offset = VNET.unpack(vnet)
    if flags != NEEDS_CSUM:
        return False
    headers = Headers(buffer, at, size)
    if not headers.is_whole or start != headers.transport_at:
        return False
    if offset != CHECKSUM_AT[headers.protocol]:
        return False
    if gso_type == GSO_NONE:
        is_trimmed = headers.end == size or size <= _MAX_PADDED_BYTES
        return is_trimmed and headers_bytes == gso_size == 0 and size <= max_packet_bytes
    payload_at = headers.payload_at
    return (
        gso_type in _GSO_TYPES[headers.version, headers.protocol]
        and headers.end == size > payload_at >= start + MIN_HEADER_BYTES[headers.protocol]
        # The kernel counts what is in its first buffer, and inserts a tag after that.
        and payload_at <= headers_bytes + TAG_BYTES
        and headers_bytes <= size
        and 0 < gso_size <= max_packet_bytes - payload_at
        and -(-(size - payload_at) // gso_size) in segments
    )


_COMMON: Final = {
    VNET.pack(NEEDS_CSUM, GSO_NONE, 0, 0, HEADER_BYTES + ip_bytes, CHECKSUM_AT[protocol]): (
        is_shortest,
        protocol,
    )
    for ip_bytes, is_shortest in ((IPV4_BYTES, is_shortest_ipv4), (IPV6_BYTES, is_shortest_ipv6))
    for protocol in (TCP, UDP)
}
"""The virtio headers of nearly all frames that need a checksum, each with a fast check that its
frame is sound. When that says no, `_is_true` looks at every field."""
COMMON_VNETS: Final = frozenset(_COMMON)
"""These headers: a TCP or UDP checksum is left to do, after an IP header without options."""
