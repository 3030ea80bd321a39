"""Decides which events of stations are told one by one, and folds the rest.

Everybody who comes and goes is told, and what is dropped there, up to `MAX_LINES` events for one
name and address. What is more is counted, and the counts are told when `FOLD_S` has passed. So
one host that connects 200 times a second does not fill the log, and 1,000 stations that return from
a reload are all named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.server.journal import Note
from vpnws.server.port.describe import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLD_S: Final = 60.0
"""Events are counted for this long; then the counts of what was folded are told."""
MAX_LINES: Final = 500
"""Events of one name and address that are told within FOLD_S when its stations come, go, move and
have frames dropped; further ones are only counted."""
MAX_WATCHED: Final = 4096
"""Names with addresses that are watched at once; the events of further ones are counted together,
and none of them is told by itself."""
OTHERS: Final = Subject("others")

_FOLDED: Final = (
    ((Event.JOIN, Event.LEAVE), "{0} more stations came and {1} more went"),
    ((Event.DROPS,), "{0} more reports of drops"),
    ((Event.MOVE,), "{0} more MACs moved"),
    ((Event.LOST,), "{0} more stations were lost in their handshakes"),
)
"""Events that are folded into one line, and its words."""


@dataclass(slots=True)
class _Burst:
    """What one name and address has done since `since_s`."""

    since_s: float
    lines: int = 0
    """Events that were to be told."""
    folded: Counter[Event] = field(default_factory=Counter)
    """Those that were not."""


class Visits:
    """The coming and going of one process's stations."""

    __slots__ = ("_bursts",)

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._bursts: dict[Subject, _Burst] = {}

    def note(self, who: Subject, event: Event, now: float) -> bool:
        """Count what a station does at `now`, in seconds; return whether to tell it by itself."""
        burst = self._burst(who, now)
        burst.lines += 1
        is_told = burst.lines <= MAX_LINES
        if not is_told:
            burst.folded[event] += 1
        return is_told

    def look(self, now: float) -> list[Note]:
        """Return what is due to be noted at `now`; call it every second or so."""
        due = [who for who, burst in self._bursts.items() if now - burst.since_s >= FOLD_S]
        bursts = [(who, self._bursts.pop(who)) for who in due]
        return [note for who, burst in bursts for note in _notes(who, burst, now - burst.since_s)]

    def _burst(self, who: Subject, now: float) -> _Burst:
        burst = self._bursts.get(who)
        if burst is not None:
            return burst
        if len(self._bursts) < MAX_WATCHED:
            burst = self._bursts[who] = _Burst(now)
            return burst
        return self._bursts.setdefault(OTHERS, _Burst(now, lines=MAX_LINES))


def _notes(who: Subject, burst: _Burst, time_s: float) -> Iterator[Note]:
    for events, words in _FOLDED:
        counts = [burst.folded[event] for event in events]
        if any(counts):
            yield Note(
                Event.FOLDED,
                f"{words.format(*counts)} within {time_s:.0f} s: {who.words}",
                {
                    **who.fields,
                    "events": " ".join(events),
                    "count": sum(counts),
                    "seconds": round(time_s),
                },
            )
