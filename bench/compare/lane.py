"""One direction of an emulated bad path: rate, bounded queue, loss, delay and jitter; no I/O.

    frame in -> tail-drop queue -> link of `rate_bit_s` -> loss -> delay with jitter -> frame out

The queue is that of a router before a slow link: it delays frames only while it is not empty.
Without `reorder` the jitter is a line through points that are drawn every `JITTER_EVERY_S`: delays
spread evenly, and a frame never overtakes another, nor do frames that are close together pile up.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Final

JITTER_EVERY_S: Final = 0.02
"""Must be more than twice the jitter, or a frame could overtake the one before."""
OVERHEAD_BYTES: Final = 24
"""What a frame has on an Ethernet wire besides its bytes: preamble, FCS, gap (802.3)."""
_NO_LIMIT: Final = 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """What a path does to frames, each way: a line of the benchmark's tables."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    """Part of the frames that is lost at random, 0 to 1."""
    rate_bit_s: float = _NO_LIMIT
    queue_bytes: int = 1 << 30
    """What waits for the link at most; a frame for which there is no room is dropped."""
    seed: int = 1
    reorder: bool = False
    """Draw each frame's jitter by itself."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""
        if not 0 <= self.loss <= 1 or not 0 <= self.jitter_s <= self.delay_s:
            raise ValueError(f"no such path: {self}")
        if not self.reorder and 2 * self.jitter_s >= JITTER_EVERY_S:
            raise ValueError(f"a jitter of {self.jitter_s} s is too much without reordering")


@dataclass(slots=True)
class Counters:
    """What became of the frames of a lane."""

    frames: int = 0
    lost: int = 0
    dropped: int = 0
    """Those for which the queue had no room."""


class Lane:
    """Frames on their way in one direction; the caller has the clock and asks what is due."""

    def __init__(self, path: Path, salt: int = 0) -> None:
        """Take frames as `path` says; two lanes of one seed differ by their `salt`."""
        self.path = path
        self.counters = Counters()
        self._dice = random.Random(f"{path.seed} {salt} loss")
        self._jitter = random.Random(f"{path.seed} {salt} jitter")
        self._points: dict[int, float] = {}
        self._waiting: list[tuple[float, int, bytes]] = []
        self._link_free_s = 0.0

    def push(self, frame: bytes, now_s: float) -> None:
        """Take a frame that has come in at `now_s`, which never goes back."""
        self.counters.frames += 1
        path = self.path
        leaves_s = now_s
        if path.rate_bit_s:
            queued_s = max(0.0, self._link_free_s - now_s)
            if queued_s * path.rate_bit_s / 8 + len(frame) > path.queue_bytes:
                self.counters.dropped += 1
                return
            wire_bits = 8 * (len(frame) + OVERHEAD_BYTES)
            leaves_s = self._link_free_s = now_s + queued_s + wire_bits / path.rate_bit_s
        if path.loss and self._dice.random() < path.loss:
            self.counters.lost += 1
            return
        due_s = leaves_s + path.delay_s + self._jitter_s(leaves_s)
        heapq.heappush(self._waiting, (due_s, self.counters.frames, frame))

    def due(self, now_s: float) -> list[bytes]:
        """Return the frames that have arrived by `now_s`, in order of arrival."""
        waiting, arrived = self._waiting, []
        while waiting and waiting[0][0] <= now_s:
            arrived.append(heapq.heappop(waiting)[2])
        return arrived

    def next_s(self) -> float | None:
        """Return when the next frame arrives, None when there is none."""
        return self._waiting[0][0] if self._waiting else None

    def _jitter_s(self, at_s: float) -> float:
        jitter_s = self.path.jitter_s
        if not jitter_s:
            return 0.0
        if self.path.reorder:
            return self._jitter.uniform(-jitter_s, jitter_s)
        slot, part = divmod(at_s, JITTER_EVERY_S)
        left, right = self._point(int(slot)), self._point(int(slot) + 1)
        return left + (right - left) * part / JITTER_EVERY_S

    def _point(self, slot: int) -> float:
        if slot not in self._points:
            if len(self._points) > 2:
                self._points = {slot - 1: self._points.get(slot - 1, 0.0)}
            self._points[slot] = self._jitter.uniform(-self.path.jitter_s, self.path.jitter_s)
        return self._points[slot]
