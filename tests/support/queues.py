"""Pushes one item at a time into an egress queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpnws.switch.queue.queue import EgressQueue


def push(queue: EgressQueue, item: bytes, frames: int, now: float) -> bool:
    """Queue `item`, which has `frames` frames; return whether all of them are in the queue.

    While backed up, frames that were there before may be dropped for it.
    """
    dropped = queue.counts.discarded_frames
    size_bytes = sum(len(part) - queue.format.frame_at(part) for part in queue.format.split(item))
    queue.push([item], frames, size_bytes, now)
    return queue.backed_up or queue.counts.discarded_frames == dropped
