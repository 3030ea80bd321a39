"""The route of captures: frames of all processes as they pass or are dropped, as pcapng."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from vpnws.control.calls import Call, CallError, Response, Route
from vpnws.control.capture_asks import CaptureFilter
from vpnws.wire.ethernet import parse_mac

PCAPNG: Final = "application/x-pcapng"
MAX_CAPTURE_S: Final = 86_400
"""A capture ends after this time at the latest."""


class CaptureQuery(CaptureFilter, frozen=True, kw_only=True):
    """Which frames to capture, and for how long."""

    seconds: Annotated[float, Meta(gt=0, le=MAX_CAPTURE_S)] = MAX_CAPTURE_S


def capture(call: Call) -> Response:
    """Answer with frames as pcapng, until the time is over or the caller goes."""
    query: CaptureQuery = call.query
    if query.mac and parse_mac(query.mac) is None:
        raise CallError("mac is not a MAC such as 02:00:00:00:00:0a")
    try:
        stream = call.captures.open(query, query.seconds, call.by, call.open_caller)
    except OSError as error:
        raise CallError("whoever asked has gone") from error
    # nginx shall pass on each frame as it comes, and not keep it for a full buffer.
    headers = (
        ("X-Accel-Buffering", "no"),
        ("Content-Disposition", 'attachment; filename="vpnws.pcapng"'),
    )
    return Response(stream, PCAPNG, headers=headers)


ROUTES: Final = (
    Route(
        "GET",
        "capture",
        capture,
        "Streams frames as they pass or are dropped, as pcapng.",
        None,
        query=CaptureQuery,
        content_type=PCAPNG,
    ),
)
