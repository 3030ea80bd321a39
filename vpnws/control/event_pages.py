"""Pages of events: each process's part, the cursor that remembers them all, and how they merge."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from vpnws.control.paging import Filter, Text, decode_cursor, encode_cursor
from vpnws.control.views import EventView

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CURSOR_CHARACTERS: Final = 4096
"""A longer cursor of events is refused; one of 64 processes is shorter."""

Mark: TypeAlias = tuple[int, int]
"""How far somebody has read the journal of a process: the process's pid, and the last number."""


class EventFilter(Filter, frozen=True, kw_only=True):
    """Which events are wanted, and where the page begins. Empty means any."""

    event: Text = ""
    """The event's name, such as `join`."""
    last: bool = False
    """Whether to begin with the last events, as many as a page takes, and not with the first."""
    after: Annotated[str, Meta(max_length=MAX_CURSOR_CHARACTERS)] = ""


class EventRows(Struct, frozen=True, kw_only=True):
    """One process's part of a page."""

    pid: int
    items: tuple[EventView, ...] = ()
    looked_seq: int = 0
    """The number of the last event that was looked at for this part."""
    lost: int = 0
    """How many events since the cursor the process no longer has."""


class EventPage(Struct, frozen=True, kw_only=True):
    """Events of all processes, the oldest first."""

    items: tuple[EventView, ...]
    next: str
    """Always a cursor: what happens later comes after it."""
    missing: tuple[str, ...] = ()
    """Processes that did not answer: their events come with a later page."""
    lost: int = 0
    """How many events since the cursor are no longer kept."""


def encode_marks(marks: Mapping[str, Mark]) -> str:
    """Return the marks of all processes, by their names, as one word for a URL."""
    return encode_cursor(tuple(word for name, mark in marks.items() for word in (name, *mark)))


def decode_marks(cursor: str) -> dict[str, Mark]:
    """Return what `encode_marks` was given. Raises ValueError."""
    words = decode_cursor(cursor)
    marks: dict[str, Mark] = {}
    for name, pid, seq in zip(words[::3], words[1::3], words[2::3], strict=False):
        if not (isinstance(name, str) and isinstance(pid, int) and isinstance(seq, int)):
            raise ValueError("after is the `next` of another list")
        marks[name] = pid, seq
    if len(words) != 3 * len(marks):
        raise ValueError("after is the `next` of another list")
    return marks


def merge_events(
    parts: Mapping[str, EventRows],
    marks: Mapping[str, Mark],
    wanted: EventFilter,
    missing: tuple[str, ...],
) -> EventPage:
    """Return one page from the processes' parts; `marks` are those of the cursor.

    A process that did not answer keeps its mark. One that was started anew has another pid, so its
    old mark says nothing, and all of its events are new.
    """
    items = list(merge(*(part.items for part in parts.values()), key=_when))
    shown = items[-wanted.limit :] if wanted.last else items[: wanted.limit]
    left_out = {event.process for event in items[wanted.limit :]} if not wanted.last else set()
    reached = {event.process: event.seq for event in shown}
    after = {name: marks[name] for name in missing if name in marks}
    for name, part in parts.items():
        if name not in left_out:
            after[name] = part.pid, part.looked_seq
        elif name in reached:
            after[name] = part.pid, reached[name]
        elif name in marks:
            after[name] = marks[name]
    return EventPage(
        items=tuple(shown),
        next=encode_marks(after),
        missing=missing,
        lost=sum(part.lost for part in parts.values()),
    )


def _when(event: EventView) -> float:
    return event.time_s
