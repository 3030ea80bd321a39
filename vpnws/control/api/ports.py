"""Routes of ports: list them, end them, block them, change their limits."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

from vpnws.control.asks import AskError, BlockAsk, Done, KickAsk, LimitsAsk, PortsAsk, ask_page
from vpnws.control.calls import Call, CallError, Route
from vpnws.control.paging import Filter, Page
from vpnws.control.ports import command, port_key
from vpnws.control.views import Limits, PortView
from vpnws.sizes import (
    MAX_EGRESS_LIMIT_BYTES,
    MAX_STATION_LIMIT,
    MAX_STORM_LIMIT,
    MIN_EGRESS_LIMIT_BYTES,
)

MAX_REASON_CHARACTERS: Final = 100
"""A longer reason is refused: a close frame has 123 bytes for it (RFC 6455 5.5)."""


class PortsQuery(Filter, frozen=True, kw_only=True):
    """Which ports to list."""

    trunks: bool = False
    """Whether to list trunks too."""


class ReasonBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an operator does something; the station is told."""

    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARACTERS)] = ""


class LimitsBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a port: those that are given change."""

    storm_packets_per_s: Annotated[int, Meta(ge=0, le=MAX_STORM_LIMIT)] | None = None
    """0 is no limit."""
    stations: Annotated[int, Meta(ge=1, le=MAX_STATION_LIMIT)] | None = None
    egress_bytes: (
        Annotated[int, Meta(ge=MIN_EGRESS_LIMIT_BYTES, le=MAX_EGRESS_LIMIT_BYTES)] | None
    ) = None

    def read(self) -> Limits:
        """Return the limits. Raises CallError if none is given."""
        limits = Limits(**asdict(self))
        if limits == Limits():
            named = ", ".join(Limits.__struct_fields__)
            raise CallError(f"no limit is given: set one of {named}")
        return limits


def list_ports(call: Call) -> Page[PortView]:
    """Answer with one page of ports."""
    query: PortsQuery = call.query
    ask = PortsAsk(filter=query, has_trunks=query.trunks)
    return ask_page(call.peers, ask, port_key, query.limit)


def get_port(call: Call) -> PortView:
    """Answer with one port."""
    name = call.path["id"]
    found = command(call, name, PortsAsk(filter=Filter(port=name, limit=1)))
    if not found.items:
        raise AskError(f"there is no port {name}: its station has gone", 404)
    return found.items[0]


def kick(call: Call) -> Done:
    """End a port; its station may come back."""
    name = call.path["id"]
    return command(call, name, KickAsk(port=name, reason=call.body.reason, by=call.by))


def block(call: Call) -> Done:
    """Let nothing in or out at a port."""
    return _block(call, is_blocked=True, reason=call.body.reason)


def unblock(call: Call) -> Done:
    """Let frames in and out at a port again."""
    return _block(call, is_blocked=False)


def set_limits(call: Call) -> Done:
    """Change limits of a port, until it goes."""
    name, limits = call.path["id"], call.body.read()
    return command(call, name, LimitsAsk(port=name, limits=limits, by=call.by))


def _block(call: Call, *, is_blocked: bool, reason: str = "") -> Done:
    name = call.path["id"]
    ask = BlockAsk(port=name, is_blocked=is_blocked, reason=reason, by=call.by)
    return command(call, name, ask)


ROUTES: Final = (
    Route(
        "GET",
        "ports",
        list_ports,
        "Lists ports in the order of their ids.",
        Page[PortView],
        query=PortsQuery,
    ),
    Route("GET", "ports/{id}", get_port, "Shows one port.", PortView),
    Route(
        "PATCH",
        "ports/{id}",
        set_limits,
        "Changes limits of a port until it goes; a storm limit of 0 is none.",
        Done,
        body=LimitsBody,
    ),
    Route(
        "POST",
        "ports/{id}/kick",
        kick,
        "Ends a station's connection; the station is told why, and may come back.",
        Done,
        body=ReasonBody,
    ),
    Route(
        "POST",
        "ports/{id}/block",
        block,
        "Lets no frame in or out at a port, until it is unblocked or goes.",
        Done,
        body=ReasonBody,
    ),
    Route(
        "POST",
        "ports/{id}/unblock",
        unblock,
        "Lets frames in and out at a port again.",
        Done,
        body=ReasonBody,
    ),
)
