"""CoDel (RFC 8289): tells a standing queue, which must shrink, from a burst, which is harmless."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt


@dataclass(frozen=True, slots=True)
class Control:
    """How long frames may wait in a flow."""

    target_s: float
    """Frames may always wait this long."""
    interval_s: float
    """Frames may wait longer than the target for this time: about the longest round trip."""


TARGET_S = 0.005
"""A frame that waited longer than this has waited too long."""
INTERVAL_S = 0.1
"""When every frame of a flow has waited too long, for as long as this, packets get a CE mark or are
dropped (`standing_queue`)."""
DEFAULT = Control(TARGET_S, INTERVAL_S)
UNLIMITED = Control(inf, inf)
"""No frame ever waits too long: flow queueing without CoDel."""

_RECENT_INTERVALS = 16
"""If the queue stands again within this many intervals, dropping goes on at its last rate."""


@dataclass(slots=True)
class Codel:
    """The state of one flow. It is plain data, so it can move to another process."""

    deadline_s: float = inf
    """When the flow's frames will have waited longer than the target for a whole interval."""
    dropping: bool = False
    next_s: float = -inf
    """When to drop the next frame; after dropping has stopped, when the next one was due."""
    count: int = 0
    last_count: int = 0

    def judge(self, sojourn_s: float, short: bool, now: float, control: Control) -> bool:
        """Return whether to drop or mark the frame that leaves the flow now.

        It waited for `sojourn_s`; `short` says that too little waits behind it to be a queue.
        Call it once for every frame.
        """
        if short or sojourn_s < control.target_s:
            self.deadline_s = inf
            self.dropping = False
            return False
        if self.deadline_s == inf:
            self.deadline_s = now + control.interval_s
        if now < self.deadline_s:
            return False
        if not self.dropping:
            self._start(now, control.interval_s)
            return True
        if now < self.next_s:
            return False
        self.count += 1
        self.next_s += control.interval_s / sqrt(self.count)
        return True

    def _start(self, now: float, interval_s: float) -> None:
        """Begin to drop; if the last time was not long ago, about as often as then."""
        grown = self.count - self.last_count
        recent = now - self.next_s < _RECENT_INTERVALS * interval_s
        self.count = self.last_count = grown if recent and grown > 1 else 1
        self.next_s = now + interval_s / sqrt(self.count)
        self.dropping = True
