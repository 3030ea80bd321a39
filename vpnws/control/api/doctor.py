"""The route of the doctor: what is wrong with the server's host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.calls import Call, CallError, Route
from vpnws.control.hook_asks import DoctorAsk
from vpnws.control.paging import Page
from vpnws.control.views import FindingView

if TYPE_CHECKING:
    from vpnws.control.asks import Answers
    from vpnws.control.hook_asks import Findings


def examine(call: Call) -> Page[FindingView]:
    """Answer with what is found on the host now, the worst first."""
    answers: Answers[Findings] = call.peers.ask(DoctorAsk())
    if not answers.by_process:
        raise CallError(
            "the process that looks at the host did not answer: uwsgi.ini starts it with"
            " mule = vpnws_app:hooks",
            503,
        )
    items = tuple(item for found in answers.by_process.values() for item in found.items)
    return Page(items=items, missing=answers.missing)


ROUTES: Final = (
    Route(
        "GET",
        "doctor",
        examine,
        "Looks at the server's host and lists what is known to break such networks.",
        Page[FindingView],
    ),
)
