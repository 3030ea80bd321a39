"""What is asked and told between the server's processes and the one for hooks."""

from __future__ import annotations

from msgspec import Struct

from vpnws.control.asks import Ask, Done
from vpnws.control.views import EventView, FindingView


class Findings(Struct, frozen=True):
    """What is known to break such networks on this host, the worst first."""

    items: tuple[FindingView, ...]


class DoctorAsk(Ask[Findings], frozen=True):
    """What is wrong with the host? Only the process for hooks looks."""


class ToldAsk(Ask[Done], frozen=True, kw_only=True):
    """Something has happened: the process for hooks tells those who want to know."""

    event: EventView
    lost: int = 0
    """Events before it that could not be sent."""


class PermitAsk(Ask[Done], frozen=True, kw_only=True):
    """May a station join? The process for hooks answers with a PermitTold, when it knows."""

    slot: int
    """The process that waits for the answer."""
    number: int
    facts: dict[str, str]
    """What the command is told, by the names of its variables."""


class PermitTold(Ask[Done], frozen=True, kw_only=True):
    """Whether a station may join."""

    number: int
    status: int
    """0: it may. Else the HTTP status to refuse it with."""
    reason: str = ""
