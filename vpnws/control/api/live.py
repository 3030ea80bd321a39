"""The live stream: one worker asks all processes once a second, and shares what it gets.

There is no task for that: of the streams that wait, the first whose turn it is asks for all. So
nobody asks while nobody looks, and a second page costs no more than its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from vpnws.control.api.networks import merge_networks
from vpnws.control.api.server import merge_status
from vpnws.control.asks import AskError, EventsAsk, LiveAsk
from vpnws.control.calls import CallError
from vpnws.control.event_pages import EventFilter, decode_marks, merge_events
from vpnws.control.paging import merge_pages
from vpnws.control.ports import port_key
from vpnws.control.views import StateView
from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.control.about import About
    from vpnws.control.asks import Answers, LiveRows, Peers
    from vpnws.control.caller import Caller
    from vpnws.control.event_pages import Mark
    from vpnws.control.views import EventView

STATE_S: Final = 1.0
"""A stream tells the state this often."""
MAX_STREAMS: Final = 32
"""Live streams of one worker, each of which holds one of uWSGI's cores; a further one gets 503."""
MAX_PORTS_SHOWN: Final = 500
"""Ports in one state; it says whether there are more. All of them are in api/v1/ports."""
MAX_NETWORKS_SHOWN: Final = 500
"""Networks in one state. All of them are in api/v1/networks."""
MAX_NEW_EVENTS: Final = 200
"""Events that a stream tells at once; further ones come a second later."""
MAX_WAITING_PARTS: Final = 5
"""A stream whose client has not taken so many seconds' parts ends; the client connects again."""
RETRY_MS: Final = 2000
"""A browser that lost its stream is told to come back after this time."""


class LiveHub:
    """All live streams of one worker, and what they were last told."""

    def __init__(self, peers: Peers, about: About) -> None:
        """`peers` are asked for what the streams tell."""
        self._peers = peers
        self._about = about
        self._streams: list[LiveStream] = []
        self._marks: dict[str, Mark] | None = None
        self._is_asking = False
        self.due_s = 0.0
        """When the state is to be told next."""

    def open(self, open_caller: Callable[[], Caller]) -> LiveStream:
        """Begin a stream to whoever asks now. Raises CallError past MAX_STREAMS."""
        if len(self._streams) >= MAX_STREAMS:
            raise CallError(
                f"this worker has {MAX_STREAMS} live streams already: close a page, or ask"
                " api/v1/status now and then",
                503,
            )
        try:
            caller = open_caller()
        except OSError as error:
            raise CallError("whoever asked for the stream has gone") from error
        if not self._streams:
            self._marks, self.due_s = None, caller.now()
        stream = LiveStream(self, caller)
        self._streams.append(stream)
        return stream

    def remove(self, stream: LiveStream) -> None:
        """Forget a stream that has ended."""
        if stream in self._streams:
            self._streams.remove(stream)

    def tell_if_due(self, now: float) -> None:
        """Ask all processes if it is time, and nobody does so; give every stream the answer."""
        if now < self.due_s or self._is_asking:
            return
        self._is_asking = True
        self.due_s = now + STATE_S
        try:
            part = self._make_part()
        except AskError as error:
            part = f": {one_line(str(error))}\n\n".encode()
        finally:
            self._is_asking = False
        for stream in self._streams:
            stream.offer(part)

    def _make_part(self) -> bytes:
        is_first = self._marks is None
        marks = self._marks or {}
        wanted = EventFilter(limit=1 if is_first else MAX_NEW_EVENTS, last=is_first)
        ask = LiveAsk(
            networks_limit=MAX_NETWORKS_SHOWN,
            ports_limit=MAX_PORTS_SHOWN,
            events=EventsAsk(filter=wanted, marks=marks),
        )
        answers = self._peers.ask(ask)
        parts = {name: rows.events for name, rows in answers.by_process.items()}
        page = merge_events(parts, marks, wanted, answers.missing)
        self._marks = decode_marks(page.next)
        # What happened before anybody looked is in api/v1/events.
        events = [] if is_first else [message("event", event) for event in page.items]
        return message("state", self._state(answers)) + b"".join(events)

    def _state(self, answers: Answers[LiveRows]) -> StateView:
        rows, missing = tuple(answers.by_process.values()), answers.missing
        networks = merge_networks([each.networks for each in rows], MAX_NETWORKS_SHOWN, missing)
        ports = merge_pages((each.ports for each in rows), port_key, MAX_PORTS_SHOWN, missing)
        return StateView(
            status=merge_status(self._about, [each.status for each in rows], missing),
            networks=networks.items,
            ports=ports.items,
            truncated=bool(ports.next or networks.next),
        )


class LiveStream:
    """One live stream: server-sent events (HTML 9.2)."""

    def __init__(self, hub: LiveHub, caller: Caller) -> None:
        """`caller` is who reads it; the stream closes it at the end."""
        self._hub = hub
        self._caller = caller
        self._parts = [f"retry: {RETRY_MS}\n\n".encode()]
        self._is_late = False

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next part and return it; raise StopIteration after the last one."""
        caller, hub = self._caller, self._hub
        while not (caller.is_gone or caller.must_end or self._is_late):
            if self._parts:
                return self._parts.pop(0)
            hub.tell_if_due(caller.now())
            if not self._parts:
                # Another stream may be asking: then it wakes this one.
                caller.wait(max(hub.due_s - caller.now(), 0.0) or STATE_S)
        raise StopIteration

    def offer(self, part: bytes) -> None:
        """Have `part` sent, which other streams share."""
        if len(self._parts) >= MAX_WAITING_PARTS:
            # It may be stuck in the middle of a part for long: nothing is kept for it.
            self._is_late = True
            self._parts.clear()
        elif not self._is_late:
            self._parts.append(part)
        self._caller.wake()

    def close(self) -> None:
        """End the stream."""
        self._hub.remove(self)
        self._caller.close()


def message(name: str, data: StateView | EventView) -> bytes:
    """Return one server-sent event. JSON on one line needs no more than that."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
