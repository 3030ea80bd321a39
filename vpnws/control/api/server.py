"""Routes of the server as a whole: its status, and the token for changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from vpnws.control.asks import StatusAsk
from vpnws.control.calls import Route
from vpnws.control.views import StatusView

if TYPE_CHECKING:
    from collections.abc import Collection

    from vpnws.control.about import About
    from vpnws.control.asks import ProcessStatus
    from vpnws.control.calls import Call


class TokenView(Struct, frozen=True):
    """What a change must carry in the header X-vpnws-token."""

    token: str


def get_status(call: Call) -> StatusView:
    """Answer with the server in a few lines."""
    answers = call.peers.ask(StatusAsk())
    return merge_status(call.about, tuple(answers.by_process.values()), answers.missing)


def merge_status(
    about: About, found: Collection[ProcessStatus], missing: tuple[str, ...]
) -> StatusView:
    """Return the status of the server from the processes' parts."""
    return StatusView(
        version=about.version,
        mode=about.mode,
        now_s=about.unix_s(),
        since_s=about.since_s,
        ports=sum(status.process.ports for status in found),
        networks=len({name for status in found for name in status.networks}),
        macs=sum(status.macs for status in found),
        processes=tuple(status.process for status in found),
        missing=missing,
    )


def get_token(call: Call) -> TokenView:
    """Answer with the token of whoever asks."""
    return TokenView(call.token)


ROUTES: Final = (
    Route("GET", "status", get_status, "Shows the server and its processes.", StatusView),
    Route("GET", "token", get_token, "Gives the token that changes must carry.", TokenView),
)
