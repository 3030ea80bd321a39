"""Decides which refused requests are logged, and in which words: at once, then folded.

The first refusal of a kind is logged at once. Those that follow are counted, and the count is
logged when `LOG_AGAIN_S` has passed. A kind is who asked, the status and the sentence. Requests
from many addresses are of many kinds, so the lines and the kinds are bounded as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.control.events import Event
from vpnws.server.journal import Note

if TYPE_CHECKING:
    from vpnws.server.port.describe import Subject

LOG_AGAIN_S: Final = 60.0
"""Refusals of one kind are logged at most this often."""
MAX_LINES: Final = 50
"""How many kinds get their own lines within LOG_AGAIN_S; further ones are only counted."""


class Refusal(NamedTuple):
    """A kind of refusal."""

    who: Subject
    """Names and address."""
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

    def note(self, refusal: Refusal, now: float) -> Note | None:
        """Count `refusal` at `now`, in seconds; return what to note, None if nothing."""
        burst = self._bursts.get(refusal)
        if burst is not None:
            burst.count += 1
            return None
        if len(self._bursts) < MAX_LINES:
            self._bursts[refusal] = _Burst(now)
            return _note_of(refusal, 1, "a request was refused")
        self._others += 1
        self._others_since_s = min(now, self._others_since_s)
        return None

    def look(self, now: float) -> list[Note]:
        """Return what is due to be noted at `now`, in seconds; call it every second or so."""
        notes = []
        due = [kind for kind, burst in self._bursts.items() if now - burst.logged_s >= LOG_AGAIN_S]
        for kind in due:
            burst = self._bursts.pop(kind)
            if burst.count:
                more = f"{burst.count} more requests were refused"
                notes.append(_note_of(kind, burst.count, more))
                self._bursts[kind] = _Burst(now)
        if now - self._others_since_s >= LOG_AGAIN_S:
            notes.append(self._note_of_others(now))
            self._others, self._others_since_s = 0, inf
        return notes

    def _note_of_others(self, now: float) -> Note:
        return Note(
            Event.FOLDED,
            f"{self._others} more requests from others were refused",
            {
                "events": Event.REFUSED.value,
                "count": self._others,
                "seconds": round(now - self._others_since_s),
            },
        )


def _note_of(refusal: Refusal, count: int, what: str) -> Note:
    who, status, sentence = refusal
    return Note(
        Event.REFUSED,
        f"{what} with {status} ({who.words}): {sentence}",
        {**who.fields, "status": status, "reason": sentence, "count": count},
    )
