"""The record in which a frame crosses from one process of the server to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES: Final = 5
"""A 4-byte length of the frame and a 1-byte length of the label, big-endian."""
LABEL_MOST_BYTES: Final = 255


def encode_label(kind: int, community: str, network: str) -> bytes:
    """Write where a frame came in: its port's role and network."""
    name = network.encode()
    label = bytes((kind, len(name))) + name + community.encode()
    if len(label) > LABEL_MOST_BYTES:
        raise ValueError(f"a label of {len(label)} bytes is longer than {LABEL_MOST_BYTES}")
    return label


def decode_label(label: bytes) -> tuple[int, str, str]:
    """Read a label: kind, community, network."""
    length = label[1]
    return label[0], label[2 + length :].decode(), label[2 : 2 + length].decode()


def encode_record(label: bytes, frame: bytes) -> bytes:
    """Write one frame with its label; records may follow each other in one bus message."""
    return len(frame).to_bytes(4, "big") + bytes((len(label),)) + label + frame


def decode_records(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (label, frame) for each record of a bus message; what is cut short is left out."""
    start = 0
    end = len(message)
    while end - start >= HEADER_BYTES:
        label_at = start + HEADER_BYTES
        frame_at = label_at + message[start + 4]
        stop = frame_at + int.from_bytes(message[start : start + 4], "big")
        if stop > end:
            return
        yield message[label_at:frame_at], message[frame_at:stop]
        start = stop
