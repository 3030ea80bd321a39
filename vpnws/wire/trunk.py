"""The item in which frames cross from one process of the server to another."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.offload import LENGTH_BYTES, NOTHING_TO_DO, PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.wire.websocket import Buffer

_PREFIX: Final = Struct(">IHB")
"""The length of the run in bytes, how many records it has, the length of the label."""
MAX_LABEL_BYTES: Final = 255
"""A label's length has one byte. Names of legal length never reach this."""


def encode_label(kind: int, community: str, network: str) -> bytes:
    """Write where a frame came in: its port's role and network."""
    name = network.encode()
    label = bytes((kind, len(name))) + name + community.encode()
    if len(label) > MAX_LABEL_BYTES:
        raise ValueError(f"a label of {len(label)} bytes is longer than {MAX_LABEL_BYTES}")
    return label


def decode_label(label: bytes) -> tuple[int, str, str]:
    """Read a label: kind, community, network."""
    length = label[1]
    return label[0], label[2 + length :].decode(), label[2 : 2 + length].decode()


def encode_item(label: bytes, run: bytes, frames: int) -> bytes:
    """Write a run of `frames` records (see wire/offload) with the label of where it came in.

    Items may follow each other in one bus message.
    """
    return b"".join((_PREFIX.pack(len(run), frames, len(label)), label, run))


def encode_frame(label: bytes, frame: bytes) -> bytes:
    """Write one plain frame as an item."""
    prefix = _PREFIX.pack(PREFIX_BYTES + len(frame), 1, len(label))
    record = len(frame).to_bytes(LENGTH_BYTES, "big"), NOTHING_TO_DO, frame
    return b"".join((prefix, label, *record))


def run_at(item: bytes) -> int:
    """Return where the run begins in an item."""
    return _PREFIX.size + item[_PREFIX.size - 1]


def frames_of(item: Buffer) -> int:
    """Return how many records an item has."""
    frames: int = _PREFIX.unpack_from(item)[1]
    return frames


def decode_items(message: Buffer) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (label, run, frames) for each item of a bus message; what is cut short is left out."""
    start, end = 0, len(message)
    while end - start >= _PREFIX.size:
        run_bytes, frames, label_bytes = _PREFIX.unpack_from(message, start)
        label_at = start + _PREFIX.size
        at = label_at + label_bytes
        start = at + run_bytes
        if start > end:
            return
        yield bytes(message[label_at:at]), bytes(message[at:start]), frames
