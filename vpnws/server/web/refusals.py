"""Decides which refused requests are logged, and in which words: at once, then folded.

The first refusal of a kind is logged at once. Those that follow are counted, and the count is
logged when `LOG_AGAIN_S` has passed. A kind is who asked, the status and the sentence. Requests
from many addresses are of many kinds, so the lines and the kinds are bounded as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

LOG_AGAIN_S: Final = 60.0
"""Refusals of one kind are logged at most this often."""
MAX_LINES: Final = 50
"""How many kinds get their own lines within LOG_AGAIN_S; further ones are only counted."""


class Refusal(NamedTuple):
    """A kind of refusal."""

    who: str
    """Names and address, as words of a log line."""
    status: str
    """The number of the HTTP status."""
    sentence: str


@dataclass(slots=True)
class _Burst:
    """What has been logged of one kind."""

    logged_s: float
    count: int = 0
    """Refusals since then."""


class Refusals:
    """The refusals of one process."""

    __slots__ = ("_bursts", "_others", "_others_since_s")

    def __init__(self) -> None:
        """Nothing has been refused yet."""
        self._bursts: dict[Refusal, _Burst] = {}
        self._others = 0
        self._others_since_s = inf

    def note(self, refusal: Refusal, now: float) -> str:
        """Count `refusal` at `now`, in seconds; return a line to log, empty if there is none."""
        burst = self._bursts.get(refusal)
        if burst is not None:
            burst.count += 1
            return ""
        if len(self._bursts) < MAX_LINES:
            self._bursts[refusal] = _Burst(now)
            return _line(refusal, "a request was refused")
        self._others += 1
        self._others_since_s = min(now, self._others_since_s)
        return ""

    def look(self, now: float) -> list[str]:
        """Return the lines that are due at `now`, in seconds; call it every second or so."""
        lines = []
        due = [kind for kind, burst in self._bursts.items() if now - burst.logged_s >= LOG_AGAIN_S]
        for kind in due:
            burst = self._bursts.pop(kind)
            if burst.count:
                lines.append(_line(kind, f"{burst.count} more requests were refused"))
                self._bursts[kind] = _Burst(now)
        if now - self._others_since_s >= LOG_AGAIN_S:
            lines.append(f"{self._others} more requests from others were refused")
            self._others, self._others_since_s = 0, inf
        return lines


def _line(refusal: Refusal, what: str) -> str:
    return f"{what} with {refusal.status} ({refusal.who}): {refusal.sentence}"
