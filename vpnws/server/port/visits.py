"""Decides which stations' coming, going and drops are logged line by line, and folds the rest.

Everybody who comes and goes is logged, and what is dropped there, up to `MAX_LINES` lines for one
name and address. What is more is counted, and the counts are logged when `FOLD_S` has passed. So
one host that connects 200 times a second does not fill the log, and 1,000 stations that return from
a reload are all named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

FOLD_S: Final = 60.0
"""Lines are counted for this long; then the counts of what was folded are logged."""
MAX_LINES: Final = 500
"""Lines that one name and address gets within FOLD_S when its stations come, go and have frames
dropped; further ones are only counted."""
MAX_WATCHED: Final = 4096
"""Names with addresses that are watched at once; the lines of further ones are counted together,
and get no lines of their own."""
OTHERS: Final = "others"


class Event(Enum):
    """What is logged of a station."""

    CAME = auto()
    WENT = auto()
    REPORTED = auto()
    """Drops at its port are reported."""


@dataclass(slots=True)
class _Burst:
    """What one name and address has done since `since_s`."""

    since_s: float
    lines: int = 0
    """Those that were asked for."""
    folded: Counter[Event] = field(default_factory=Counter)
    """What got no line."""


class Visits:
    """The coming and going of one process's stations."""

    __slots__ = ("_bursts",)

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._bursts: dict[str, _Burst] = {}

    def note(self, who: str, event: Event, now: float) -> bool:
        """Note what a station does at `now`, in seconds; return whether to log a line."""
        burst = self._burst(who, now)
        burst.lines += 1
        has_line = burst.lines <= MAX_LINES
        if not has_line:
            burst.folded[event] += 1
        return has_line

    def look(self, now: float) -> list[str]:
        """Return the lines that are due at `now`; call it every second or so."""
        due = [who for who, burst in self._bursts.items() if now - burst.since_s >= FOLD_S]
        bursts = [(who, self._bursts.pop(who)) for who in due]
        return [line for who, burst in bursts for line in _lines(who, burst, now - burst.since_s)]

    def _burst(self, who: str, now: float) -> _Burst:
        burst = self._bursts.get(who)
        if burst is not None:
            return burst
        if len(self._bursts) < MAX_WATCHED:
            burst = self._bursts[who] = _Burst(now)
            return burst
        return self._bursts.setdefault(OTHERS, _Burst(now, lines=MAX_LINES))


def _lines(who: str, burst: _Burst, time_s: float) -> list[str]:
    within = f"within {time_s:.0f} s: {who}"
    folded, lines = burst.folded, []
    if folded[Event.CAME] or folded[Event.WENT]:
        came, went = folded[Event.CAME], folded[Event.WENT]
        lines.append(f"{came} more stations came and {went} more went {within}")
    if folded[Event.REPORTED]:
        lines.append(f"{folded[Event.REPORTED]} more reports of drops {within}")
    return lines
