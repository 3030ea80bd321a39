"""Decides which stations' coming, going and drops are logged line by line, and folds the rest.

Everybody who comes and goes is logged, and what is dropped there, up to `MAX_LINES` lines for one
name and address. What is more is counted, and the counts are logged when `FOLD_S` has passed. So
one host that connects 200 times a second does not fill the log, and 1,000 stations that return from
a reload are all named.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(slots=True)
class _Burst:
    """What one name and address has done since `since_s`."""

    since_s: float
    lines: int = 0
    """Those that were asked for."""
    came: int = 0
    """Stations that came and got no line."""
    went: int = 0
    """Stations that went and got no line."""
    reports: int = 0
    """Reports of drops that got no line."""

    def take_line(self) -> bool:
        """Return whether there is a line left to log, and use it."""
        self.lines += 1
        return self.lines <= MAX_LINES


class Visits:
    """The coming and going of one process's stations."""

    __slots__ = ("_bursts",)

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._bursts: dict[str, _Burst] = {}

    def came(self, who: str, now: float) -> bool:
        """Note at `now`, in seconds, that a station came; return whether to log a line."""
        burst = self._burst(who, now)
        has_line = burst.take_line()
        burst.came += not has_line
        return has_line

    def went(self, who: str, now: float) -> bool:
        """Note that a station went; return whether to log a line."""
        burst = self._burst(who, now)
        has_line = burst.take_line()
        burst.went += not has_line
        return has_line

    def reported(self, who: str, now: float) -> bool:
        """Note that there is a report of drops; return whether to log it."""
        burst = self._burst(who, now)
        has_line = burst.take_line()
        burst.reports += not has_line
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
    lines = []
    if burst.came or burst.went:
        lines.append(f"{burst.came} more stations came and {burst.went} more went {within}")
    if burst.reports:
        lines.append(f"{burst.reports} more reports of drops {within}")
    return lines
