"""Routes of what happens: the events so far, page by page, and all that is new as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.asks import EventsAsk
from vpnws.control.calls import CallError, Response, Route
from vpnws.control.event_pages import EventFilter, EventPage, decode_marks, merge_events

if TYPE_CHECKING:
    from vpnws.control.calls import Call

EVENT_STREAM: Final = "text/event-stream"


def list_events(call: Call) -> EventPage:
    """Answer with one page of events."""
    query: EventFilter = call.query
    try:
        marks = decode_marks(query.after)
    except ValueError as error:
        raise CallError(str(error)) from error
    answers = call.peers.ask(EventsAsk(filter=query, marks=marks))
    return merge_events(answers.by_process, marks, query, answers.missing)


def stream(call: Call) -> Response:
    """Begin a live stream."""
    # nginx would else keep what comes until its buffer is full.
    unbuffered = ("X-Accel-Buffering", "no")
    return Response(call.live.open(call.open_caller), EVENT_STREAM, headers=(unbuffered,))


ROUTES: Final = (
    Route(
        "GET",
        "events",
        list_events,
        "Lists what has happened, the oldest first; `next` is always a cursor to go on with.",
        EventPage,
        query=EventFilter,
    ),
    Route(
        "GET",
        "stream",
        stream,
        "Streams the state each second, and events as they happen (server-sent events).",
        None,
        content_type=EVENT_STREAM,
    ),
)
