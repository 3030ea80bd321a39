"""Runs: records of `vpnws.offload.1` that follow each other and go the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.wire.offload import (
    LENGTH_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    decode_records,
    plain_frames,
    segment_count,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def split(run: bytes) -> Iterator[bytes]:
    """Yield the records of `run`, each as a run of its own."""
    start, end = 0, len(run)
    while start < end:
        length = int.from_bytes(run[start : start + LENGTH_BYTES], "big")
        stop = start + PREFIX_BYTES + length
        yield run if stop - start == end else run[start:stop]
        start = stop


def cut(run: bytes) -> Iterator[bytes]:
    """Yield the frames of `run` as they are on a wire: segmented, with complete checksums.

    `offload.is_sound` must have held of every record.
    """
    for vnet, frame in decode_records(run):
        if vnet == NOTHING_TO_DO:
            yield frame
        else:
            yield from plain_frames(vnet, frame)


def packets(run: bytes) -> int:
    """Return how many frames come of `run` on a wire."""
    return sum(segment_count(vnet, len(frame)) for vnet, frame in decode_records(run))
