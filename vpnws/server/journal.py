"""A process's journal: each event becomes a line of the log, is kept for a while, and is told."""

from __future__ import annotations

import logging
from collections import Counter, deque
from heapq import merge
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.control.events import EVENTS, SENTENCES
from vpnws.control.views import EventView
from vpnws.text import MAX_SENTENCE_CHARACTERS, MAX_VALUE_CHARACTERS, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vpnws.control.events import Event
    from vpnws.control.views import FieldValue

MAX_EVENTS: Final = 1000
"""Events that a process keeps of those that are in the log, and as many of those that are not; the
oldest are lost, and counted."""
MAX_TEXT_CHARACTERS: Final = 2000
"""A longer line of an event is cut off here; none of ours is that long."""
MAX_LISTENERS: Final = 16
"""Whoever wants to be told of events at once, in one process; a further one is an error."""

_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

log = logging.getLogger("vpnws")


class Note(NamedTuple):
    """Something to note: the arguments of `Journal.note`."""

    event: Event
    text: str
    fields: Mapping[str, FieldValue]


class Journal:
    """The events of one process.

    Events that are no line of the log, such as `learn`, are kept apart: a station that has many
    MACs cannot push out who joined.
    """

    def __init__(self, process: str, unix_s: Callable[[], float]) -> None:
        """`process` is what the log calls it; `unix_s` returns Unix time in seconds."""
        self.process = process
        self.seq = 0
        """The number of the newest event; the first one is 1."""
        self.counts: Counter[Event] = Counter()
        """How often each event has happened."""
        self._unix_s = unix_s
        self._logged: deque[EventView] = deque(maxlen=MAX_EVENTS)
        self._unlogged: deque[EventView] = deque(maxlen=MAX_EVENTS)
        self._listeners: list[Callable[[EventView], None]] = []

    @property
    def lost(self) -> int:
        """How many events are no longer kept."""
        return self.seq - len(self._logged) - len(self._unlogged)

    def note(self, event: Event, text: str, **fields: FieldValue) -> None:
        """Note that something has happened: `text` is the line of the log.

        `fields` are those that the table has for `event`; one that is "" is left out. They may be a
        stranger's: each is made one short line here. In `text`, the caller has made each one word
        (`log_value`), so that none can pass for another.
        """
        kind = EVENTS[event]
        text = one_line(text, max_characters=MAX_TEXT_CHARACTERS)
        told = dict(clean(fields))
        if kind.is_logged:
            extra = {"event": event.value, "fields": told}
            log.log(_LEVELS[kind.level], "%s", text, extra=extra)
        self._keep(event, text, told)

    def keep(self, event: Event, text: str, **fields: FieldValue) -> None:
        """Do as `note`, for an event that another process has logged already."""
        self._keep(event, text, dict(clean(fields)))

    def after(self, seq: int) -> list[EventView]:
        """Return the events that came after number `seq` and are kept, the oldest first."""
        newest_first = (
            takewhile(lambda event: event.seq > seq, reversed(kept))
            for kept in (self._logged, self._unlogged)
        )
        return list(merge(*newest_first, key=_seq_of, reverse=True))[::-1]

    def listen(self, listener: Callable[[EventView], None]) -> None:
        """Have `listener` called with each event from now on.

        It is called in the middle of what the process does: it must be quick and raise nothing.
        Raises ValueError past MAX_LISTENERS.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise ValueError(f"there are {MAX_LISTENERS} listeners already")
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[EventView], None]) -> None:
        """Call `listener` no more."""
        self._listeners.remove(listener)

    def _keep(self, event: Event, text: str, fields: dict[str, FieldValue]) -> None:
        kind = EVENTS[event]
        self.seq += 1
        self.counts[event] += 1
        view = EventView(
            seq=self.seq,
            process=self.process,
            time_s=self._unix_s(),
            name=event.value,
            level=kind.level,
            text=text,
            fields=fields,
        )
        (self._logged if kind.is_logged else self._unlogged).append(view)
        for listener in tuple(self._listeners):
            listener(view)


def clean(fields: dict[str, FieldValue]) -> Iterable[tuple[str, FieldValue]]:
    """Yield the fields that are not empty, each text as one short line that any codec takes."""
    for name, value in fields.items():
        if not isinstance(value, str):
            yield name, value
        elif value:
            is_long = name in SENTENCES
            most = MAX_SENTENCE_CHARACTERS if is_long else MAX_VALUE_CHARACTERS
            yield name, one_line(value, max_characters=most)


def _seq_of(event: EventView) -> int:
    return event.seq
