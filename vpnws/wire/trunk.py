"""The item in which a train crosses from one process of the server to another."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = Struct(">IHB")
"""The length of the records in bytes, how many they are, the length of the label."""
MAX_LABEL_BYTES: Final = 255
"""The length of a label is one byte. Names of legal length stay below this."""


def encode_label(kind: int, community: str, network: str) -> bytes:
    """Return the label of a port: its role and its network."""
    name = network.encode()
    label = bytes((kind, len(name))) + name + community.encode()
    if len(label) > MAX_LABEL_BYTES:
        raise ValueError(f"a label of {len(label)} bytes is longer than {MAX_LABEL_BYTES}")
    return label


def decode_label(label: bytes) -> tuple[int, str, str]:
    """Read a label: kind, community, network."""
    length = label[1]
    return label[0], label[2 + length :].decode(), label[2 : 2 + length].decode()


def encode_item(label: bytes, records: Sequence[bytes], size_bytes: int, count: int) -> bytes:
    """Return an item: a train of `count` records, with the label of the port where it came in.

    `records` are joined; together they have `size_bytes`. A bus message may hold several items.
    """
    return b"".join((_PREFIX.pack(size_bytes, count, len(label)), label, *records))


def records_at(item: bytes) -> int:
    """Return where the records of an item begin."""
    return _PREFIX.size + item[_PREFIX.size - 1]


def label_of(item: bytes) -> bytes:
    """Return the label of an item."""
    return item[_PREFIX.size : records_at(item)]


def decode_items(message: bytes) -> list[tuple[bytes, bytes, int]]:
    """Return (label, records, count) for each item of a bus message; a broken rest is left out."""
    items = []
    start, end = 0, len(message)
    while end - start >= _PREFIX.size:
        records_bytes, count, label_bytes = _PREFIX.unpack_from(message, start)
        label_at = start + _PREFIX.size
        at = label_at + label_bytes
        start = at + records_bytes
        if start > end:
            break
        items.append((message[label_at:at], message[at:start], count))
    return items
