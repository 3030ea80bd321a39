"""The route of traces: what would happen to a frame from one station to another."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from vpnws.control.calls import Call, CallError, Route
from vpnws.control.trace import Tracer
from vpnws.control.trace_view import TraceView
from vpnws.wire.probe import LONGEST_BYTES, SHORTEST_BYTES, parse_ether

MAX_WORD_CHARACTERS: Final = 256
"""A longer name of an end is refused."""
Word = Annotated[str, Meta(min_length=1, max_length=MAX_WORD_CHARACTERS)]


class TraceQuery(Struct, frozen=True, kw_only=True):
    """The two ends, each a MAC, a port's id, a user, a DN, an IP address or a TAP."""

    source: Word = field(name="from")
    destination: Word = field(name="to")
    network: Annotated[str, Meta(max_length=MAX_WORD_CHARACTERS)] = ""
    """Which network to look in; empty for all."""
    ether: str = "ipv4"
    """The kind of frame: arp, nd, ipv4, ipv6, or an EtherType such as 0x88cc."""
    size: Annotated[int, Meta(ge=SHORTEST_BYTES, le=LONGEST_BYTES)] = SHORTEST_BYTES
    """The length of the frame in bytes, without FCS."""


def get_trace(call: Call) -> TraceView:
    """Answer with the way of a frame, and of the answer to it."""
    query: TraceQuery = call.query
    try:
        ether = parse_ether(query.ether)
    except ValueError as error:
        raise CallError(str(error)) from error
    tracer = Tracer(call.peers, call.about.mode, ether, query.size)
    return tracer.trace(query.source.strip(), query.destination.strip(), query.network)


ROUTES: Final = (
    Route(
        "GET",
        "trace",
        get_trace,
        "Says what would happen to a frame between two stations, and which step decides.",
        TraceView,
        query=TraceQuery,
    ),
)
