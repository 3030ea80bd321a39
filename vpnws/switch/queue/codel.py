"""CoDel (RFC 8289): tells a standing queue, which must shrink, from a burst, which may pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt


@dataclass(frozen=True, slots=True)
class Control:
    """How long frames may wait in a flow."""

    target_s: float
    """Frames may wait this long all the time."""
    interval_s: float
    """Frames may wait longer than the target during this time: about the longest round trip."""


TARGET_S = 0.005
"""A frame that waited longer than this has waited too long."""
INTERVAL_S = 0.1
"""When every frame of a flow has waited too long for this time, packets get a CE mark or are
dropped (`standing_queue`)."""
DEFAULT = Control(TARGET_S, INTERVAL_S)
UNLIMITED = Control(inf, inf)
"""No frame waits too long: flow queueing without CoDel."""

_RECENT_INTERVALS = 16
"""A queue that stands again within this many intervals is not treated as a new one."""


@dataclass(slots=True)
class Codel:
    """The state of one flow: plain data, so it can move to another process."""

    deadline_s: float = inf
    """When the flow will have waited longer than the target for an interval."""
    dropping: bool = False
    next_s: float = -inf
    """While dropping, when the next frame is dropped; otherwise, when it would have been."""
    count: int = 0
    last_count: int = 0

    def judge(self, sojourn_s: float, short: bool, now: float, control: Control) -> bool:
        """Tell whether the frame that leaves the flow now is to be dropped or marked.

        It waited for `sojourn_s`; `short` says that too little stands behind it to be a queue.
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
        """Begin to drop, about as often as it took the last time if that was not long ago."""
        grown = self.count - self.last_count
        recent = now - self.next_s < _RECENT_INTERVALS * interval_s
        self.count = self.last_count = grown if recent and grown > 1 else 1
        self.next_s = now + interval_s / sqrt(self.count)
        self.dropping = True
