"""The records of `vpnws.offload.1`: how they are written, and the one walk over them.

A record is one frame, with what its sender left to be done: a 4-byte big-endian length of the
frame, a 10-byte little-endian virtio_net_hdr (virtio 1.2, 5.1.6), and the frame. A message is one
record or more. `wire/offload` says which virtio headers are true of their frames.
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
"""What stands before a record's frame: its length and its virtio header."""
NOTHING_TO_DO: Final = bytes(VNET_BYTES)
"""The virtio header of a frame that is complete."""
MAX_FRAME_BYTES: Final = HEADER_BYTES + MAX_TAGS_BYTES + 65535
"""A record's frame that is longer is not sound: the longest IP packet, its header and two tags."""
MAX_RECORDS_BYTES: Final = 131072
"""A longer message of records ends the port with 1009."""
MAX_PIECE_BYTES: Final = 16384
"""A train is queued in pieces of at most this length: a queue that is nearly full should not lose
all that came in together."""

_MIN_RECORD_BYTES: Final = PREFIX_BYTES + HEADER_BYTES
"""When fewer bytes are left there is no further record, and the end of the message is broken."""
_PREFIX: Final = Struct(">I10s")
"""Length of the frame; then the virtio header."""
_HEAD: Final = Struct(">I22s")
"""Length of the frame; then the record's key."""
KEY_BYTES: Final = 22
"""A record's key: its virtio header and both addresses of its frame."""


put_length: Final = Struct(">I").pack_into
"""put_length(buffer, at, size_bytes): write the length of the frame of a record that begins at `at`
in `buffer`, before its virtio header and its frame."""


def encode_record(frame: Buffer, vnet: bytes = NOTHING_TO_DO) -> bytes:
    """Write `frame` as a record; `vnet` is its 10-byte virtio header."""
    return len(frame).to_bytes(LENGTH_BYTES, "big") + vnet + frame


_SHORT_PREFIXES: Final = tuple(
    size.to_bytes(LENGTH_BYTES, "big") + NOTHING_TO_DO for size in range(2048)
)


def plain_prefix(size_bytes: int) -> bytes:
    """Return what stands before a complete frame of `size_bytes` in a record."""
    if size_bytes < len(_SHORT_PREFIXES):
        return _SHORT_PREFIXES[size_bytes]
    return size_bytes.to_bytes(LENGTH_BYTES, "big") + NOTHING_TO_DO


def walk(message: Buffer, max_bytes: int) -> Iterator[tuple[bytes, int, int, int, int]]:
    """Yield (key, count, longest, start, stop) for each piece of `message`.

    A piece is `count` records with one key that follow each other, of `max_bytes` together at the
    most, or one record that is longer. `longest` is the length of its longest frame.

    Behind a record that does not end in the message, or is too short for an Ethernet header,
    nothing can be found. The rest comes last, with an empty key, as one record.
    """
    start, end = 0, len(message)
    begun = count = longest = 0
    piece = b""
    unpack = _HEAD.unpack_from
    while end - start >= _MIN_RECORD_BYTES:
        size, key = unpack(message, start)
        stop = start + PREFIX_BYTES + size
        if stop > end or size < HEADER_BYTES:
            break
        if key == piece and stop - begun <= max_bytes:
            count += 1
            if size > longest:
                longest = size
        else:
            if count:
                yield piece, count, longest, begun, start
            begun, piece, count, longest = start, key, 1, size
        start = stop
    if count:
        yield piece, count, longest, begun, start
    if start < end:
        yield b"", 1, 0, start, end


def sole_key(message: bytes) -> bytes:
    """Return the key of the record that `message` is; empty if it is not just one."""
    if len(message) < _MIN_RECORD_BYTES:
        return b""
    size, key = _HEAD.unpack_from(message)
    return key if size == len(message) - PREFIX_BYTES else b""


def each_record(
    message: Buffer, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (virtio header, where the frame begins, its length in bytes) for each record.

    They are those of `message` from `start` to `end`. A rest in which no record can be found comes
    last, with an empty header, as in `walk`. It is a loop of its own because a generator on top of
    that one costs a client's received records a sixth of their time.
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
    """Yield each record of `message` by itself."""
    for vnet, at, size in each_record(message):
        if vnet:
            yield message[at - PREFIX_BYTES : at + size]


def decode_records(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (virtio header, frame) of each record in `message`; a rest without an end is left out.

    A frame too short for an Ethernet header has no end either.
    """
    for vnet, at, size in each_record(message):
        if vnet:
            yield vnet, message[at : at + size]
