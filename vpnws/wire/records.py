"""The records of `vpnws.offload.1`: how to write them, and how to find them in a message.

A record is one frame with the work that its sender left to do: the frame's length (4 bytes,
big-endian), a virtio_net_hdr (10 bytes, little-endian; virtio 1.2, 5.1.6), and the frame. A message
is one record or several. `wire/offload` says which virtio headers are true of their frames.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import HEADER_BYTES, MAX_TAGS_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.wire.buffer import Buffer

SUBPROTOCOL: Final = "vpnws.offload.1"
LENGTH_BYTES: Final = 4
VNET_BYTES: Final = 10
PREFIX_BYTES: Final = LENGTH_BYTES + VNET_BYTES
"""A record's prefix: the frame's length and the virtio header."""
NOTHING_TO_DO: Final = bytes(VNET_BYTES)
"""The virtio header of a frame that is complete."""
MAX_FRAME_BYTES: Final = HEADER_BYTES + MAX_TAGS_BYTES + 65535
"""A record whose frame is longer is not sound: the longest IP packet, Ethernet header, two tags."""
MAX_RECORDS_BYTES: Final = 131072
"""A longer message of records ends the port with 1009."""
MAX_PIECE_BYTES: Final = 16384
"""A train is queued in pieces of at most this length, so that a queue that is nearly full does not
lose the whole train."""

_MIN_RECORD_BYTES: Final = PREFIX_BYTES + HEADER_BYTES
"""When fewer bytes are left, they are not a record, and the end of the message is broken."""
_PREFIX: Final = Struct(">I10s")
"""Length of the frame; then the virtio header."""
_HEAD: Final = Struct(">I10s12s")
"""Length of the frame; then the virtio header, and both addresses of the frame."""


put_length: Final = Struct(">I").pack_into
"""put_length(buffer, at, size_bytes): write the first field of the record at `at` in `buffer`: its
frame has `size_bytes`."""


def encode_record(frame: Buffer, vnet: bytes = NOTHING_TO_DO) -> bytes:
    """Write `frame` as a record; `vnet` is its 10-byte virtio header."""
    return len(frame).to_bytes(LENGTH_BYTES, "big") + vnet + frame


_SHORT_PREFIXES: Final = tuple(
    size.to_bytes(LENGTH_BYTES, "big") + NOTHING_TO_DO for size in range(2048)
)


def plain_prefix(size_bytes: int) -> bytes:
    """Return the prefix of a record whose frame is complete and has `size_bytes`."""
    if size_bytes < len(_SHORT_PREFIXES):
        return _SHORT_PREFIXES[size_bytes]
    return size_bytes.to_bytes(LENGTH_BYTES, "big") + NOTHING_TO_DO


def walk_pieces(
    message: Buffer, max_bytes: int
) -> Iterator[tuple[bytes, bool, int, int, int, int]]:
    """Yield (addresses, is_plain, count, longest_bytes, start, stop) for each piece of `message`.

    A piece is `count` records in a row whose frames have the same addresses and that are at most
    `max_bytes` together, or one longer record. `is_plain` tells that no virtio header leaves
    anything to do; `longest_bytes` is the length of the longest frame.

    After a record that does not end in the message, or has no whole Ethernet header, no other can
    be found. This rest of the message comes last, as one record without addresses.
    """
    start, end = 0, len(message)
    piece_start = count = longest_bytes = 0
    piece_addresses, is_plain = b"", True
    unpack = _HEAD.unpack_from
    while end - start >= _MIN_RECORD_BYTES:
        size, vnet, addresses = unpack(message, start)
        stop = start + PREFIX_BYTES + size
        if stop > end or size < HEADER_BYTES:
            break
        if addresses == piece_addresses and stop - piece_start <= max_bytes:
            count += 1
            if size > longest_bytes:
                longest_bytes = size
            if vnet != NOTHING_TO_DO:
                is_plain = False
        else:
            if count:
                yield piece_addresses, is_plain, count, longest_bytes, piece_start, start
            piece_start, piece_addresses, count, longest_bytes = start, addresses, 1, size
            is_plain = vnet == NOTHING_TO_DO
        start = stop
    if count:
        yield piece_addresses, is_plain, count, longest_bytes, piece_start, start
    if start < end:
        yield b"", False, 1, 0, start, end


def sole_head(message: bytes) -> tuple[bytes, bytes] | None:
    """Return (virtio header, addresses) of a message that is one record; None for any other."""
    if len(message) < _MIN_RECORD_BYTES:
        return None
    size, vnet, addresses = _HEAD.unpack_from(message)
    return (vnet, addresses) if size == len(message) - PREFIX_BYTES else None


def each_record(
    message: Buffer, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (virtio header, where the frame begins, its length in bytes) for each record.

    It reads `message` from `start` to `end`. A rest in which no record can be found comes last,
    with an empty header, as in `walk_pieces`. It does not call that: a generator on top of another
    would make a client's received records a sixth slower.
    """
    end = len(message) if end is None else end
    unpack = _PREFIX.unpack_from
    while end - start >= _MIN_RECORD_BYTES:
        size, vnet = unpack(message, start)
        at = start + PREFIX_BYTES
        stop = at + size
        if stop > end or size < HEADER_BYTES:
            break
        yield vnet, at, size
        start = stop
    if start < end:
        yield b"", start, end - start


def split_records(message: bytes) -> Iterator[bytes]:
    """Yield each record of `message`; a broken rest is left out."""
    for vnet, at, size in each_record(message):
        if vnet:
            yield message[at - PREFIX_BYTES : at + size]


def decode_records(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (virtio header, frame) of each record in `message`; a broken rest is left out."""
    for vnet, at, size in each_record(message):
        if vnet:
            yield vnet, message[at : at + size]
