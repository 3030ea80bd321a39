"""Decides when a port's drops are reported: at once, then folded.

The first drop for a reason is reported at the next look. Those that follow are counted, and
reported together when `SAY_AGAIN_S` has passed. A queue that is full for a moment does no harm, so
drops at egress are reported only when they last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections import Counter

SAY_AGAIN_S: Final = 60.0
"""A port's drops for one reason are reported at most this often."""
LASTING_S: Final = 10.0
"""Drops at a station's queue are reported when they have gone on for this long."""
SAY_LASTING_AGAIN_S: Final = 600.0
"""Such lasting drops are reported at most this often: a slow path drops all the time."""

LASTING: Final = frozenset((Drop.EGRESS_FULL, Drop.CODEL))
UNSAID: Final = frozenset((Drop.RESERVED, Drop.FILTERED, Drop.NO_BROADCAST, Drop.NO_MULTICAST))
"""These are not faults: the standard or a setting asks for them."""
OF_A_MAC: Final = frozenset((Drop.MAC_TAKEN, Drop.MOVE_GUARD, Drop.STATION_LIMIT))
"""Reasons that are about the frame's source."""


@dataclass(slots=True)
class _Burst:
    """How many drops for one reason were seen and reported, and when."""

    seen: int = 0
    said: int = 0
    began_s: float = -inf
    last_s: float = -inf
    said_s: float = -inf


class DropWatch:
    """Watches one port's counts of drops."""

    __slots__ = ("_bursts", "_said", "_seen")

    def __init__(self) -> None:
        """Nothing has been dropped yet."""
        self._bursts: dict[Drop, _Burst] = {}
        self._seen = self._said = 0

    def look(self, drops: Counter[Drop], now: float) -> list[tuple[Drop, int]]:
        """Return the reasons to report now, each with the frames dropped since its last report.

        Call it every second or so; `now` is in seconds.
        """
        total = drops.total()
        if total == self._seen == self._said:
            return []
        self._seen = total
        said = []
        for reason, count in drops.items():
            burst = self._bursts.setdefault(reason, _Burst())
            _note(burst, count, now)
            if reason not in UNSAID and count > burst.said and _is_due(burst, reason, now):
                said.append((reason, count - burst.said))
                burst.said, burst.said_s = count, now
        silent = sum(count for reason, count in drops.items() if reason in UNSAID)
        self._said = silent + sum(burst.said for burst in self._bursts.values())
        return said


def _note(burst: _Burst, count: int, now: float) -> None:
    if count > burst.seen:
        if now - burst.last_s > LASTING_S:
            burst.began_s = now
        burst.seen, burst.last_s = count, now


def _is_due(burst: _Burst, reason: Drop, now: float) -> bool:
    if reason not in LASTING:
        return now - burst.said_s >= SAY_AGAIN_S
    has_lasted = burst.last_s - burst.began_s >= LASTING_S
    return has_lasted and now - burst.said_s >= SAY_LASTING_AGAIN_S
