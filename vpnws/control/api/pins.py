"""Routes of pins: MACs that belong to one identity until they are unpinned."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from vpnws.control.api.rules import Name
from vpnws.control.asks import Done, PortsAsk, ask_here
from vpnws.control.calls import Call, CallError, Route
from vpnws.control.mac_asks import PinAsk, PinsAsk, UnpinAsk
from vpnws.control.macs import check_mac
from vpnws.control.paging import MAX_LIMIT, Filter, Page
from vpnws.control.rules import Pin
from vpnws.control.views import PinView
from vpnws.values import is_network_name


class PinBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which MAC, and whose it is: a user, a DN, or both if its stations have both."""

    network: Name
    mac: Name
    user: Name = ""
    dn: Name = ""


def list_pins(call: Call) -> Page[PinView]:
    """Answer with all pins; every process knows all of them."""
    return Page(items=tuple(map(_view, ask_here(call.peers, PinsAsk()).pins)))


def pin(call: Call) -> PinView:
    """Give a MAC to an identity."""
    body: PinBody = call.body
    if not (body.user or body.dn):
        raise CallError("name whose it is to be: a user, a dn, or both if its stations have both")
    if not is_network_name(body.network):
        raise CallError("network must name a network: letters, digits, dots, - and _")
    _check_whole_name(call, body)
    made = Pin(
        network=body.network,
        mac=check_mac(body.mac),
        user=body.user,
        dn=body.dn,
        by=call.by,
    )
    ask_here(call.peers, PinAsk(pin=made))
    return _view(made)


def _check_whole_name(call: Call, body: PinBody) -> None:
    """See that stations of the name would have it: a name is user and DN. Raises CallError."""
    wanted = Filter(user=body.user, limit=MAX_LIMIT)
    answers = call.peers.ask(PortsAsk(filter=wanted))
    names = {
        (port.who.user, port.who.dn)
        for rows in answers.by_process.values()
        for port in rows.items
        if body.dn in ("", port.who.dn) and port.kind == "station"
    }
    if names and (body.user, body.dn) not in names:
        user, dn = min(names)
        raise CallError(
            f"stations of that name have user {user or '-'} and dn {dn or '-'}: name both"
        )


def unpin(call: Call) -> Done:
    """Remove a pin."""
    return ask_here(call.peers, UnpinAsk(id=call.path["id"], by=call.by))


def _view(pin: Pin) -> PinView:
    return PinView(
        id=pin.id,
        network=pin.network,
        mac=pin.mac,
        user=pin.user,
        dn=pin.dn,
        by=pin.by,
    )


ROUTES: Final = (
    Route("GET", "pins", list_pins, "Lists the MACs that are pinned.", Page[PinView]),
    Route(
        "POST",
        "pins",
        pin,
        "Gives a MAC to an identity until it is unpinned; nobody else gets it.",
        PinView,
        body=PinBody,
    ),
    Route("DELETE", "pins/{id}", unpin, "Removes a pin.", Done),
)
