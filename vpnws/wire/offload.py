"""The records of `vpnws.offload.1`: frames, each with what its sender left to be done.

A record is a 4-byte big-endian length of the frame, a 10-byte little-endian virtio_net_hdr (virtio
1.2, 5.1.6) and the frame. The header lets a frame be up to 64 KiB of TCP or UDP payload, to be cut
into packets of `gso_size` bytes (segmented), or have a checksum that is not complete yet.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.wire.websocket import Buffer

SUBPROTOCOL: Final = "vpnws.offload.1"
PREFIX_BYTES: Final = 14
"""What stands before a record's frame: its length and its virtio header."""
LENGTH_BYTES: Final = 4
VNET_BYTES: Final = PREFIX_BYTES - LENGTH_BYTES
NOTHING_TO_DO: Final = bytes(VNET_BYTES)
"""The virtio header of a frame that is complete."""
FRAME_MOST_BYTES: Final = 65535 + HEADER_BYTES + 8
"""The longest IP packet, its Ethernet header and two tags (IEEE 802.1Q and 802.1ad)."""
MESSAGE_MOST_BYTES: Final = 131072
"""Most bytes of the records in one message."""
SEGMENTS_MOST: Final = 128
"""Most packets that one record may be cut into: what the kernel takes (UDP_MAX_SEGMENTS)."""
PREFIX: Final = Struct(">I10s12s")
"""A record's prefix and its frame's two addresses: length, virtio header, addresses."""


def encode_record(frame: Buffer, vnet: bytes = NOTHING_TO_DO) -> bytes:
    """Write `frame` as a record; `vnet` is its 10-byte virtio header."""
    return len(frame).to_bytes(LENGTH_BYTES, "big") + vnet + frame


def decode_records(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (virtio header, frame) of each record; what is cut short at the end is left out."""
    start, end = 0, len(message)
    while end - start >= PREFIX_BYTES:
        at = start + PREFIX_BYTES
        stop = at + int.from_bytes(message[start : start + LENGTH_BYTES], "big")
        if stop > end:
            return
        yield message[start + LENGTH_BYTES : at], message[at:stop]
        start = stop


def is_sound(vnet: bytes, buffer: Buffer, at: int, size: int, longest: int) -> bool:
    """Tell whether `vnet` is true of the frame of `size` bytes that stands at `at` in `buffer`.

    `longest` bounds every packet that would come of it, in bytes with the Ethernet header.
    """
    return vnet == NOTHING_TO_DO and HEADER_BYTES <= size <= longest and len(buffer) >= at + size


def plain_frames(vnet: bytes, frame: bytes) -> list[bytes]:
    """Return what `frame` is on a wire: cut into packets, with every checksum complete.

    `is_sound` must have held of them.
    """
    if vnet != NOTHING_TO_DO:
        raise NotImplementedError
    return [frame]


def segment_count(vnet: bytes, size: int) -> int:
    return 1
