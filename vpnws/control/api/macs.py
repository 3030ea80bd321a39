"""Routes of MACs and IP addresses: who has which, where, and what to forget."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from vpnws.control.asks import ask_page
from vpnws.control.calls import Call, CallError, Route
from vpnws.control.mac_asks import AddressesAsk, FdbAsk, FlushAsk, FreeAsk
from vpnws.control.macs import address_key, check_mac, fdb_key
from vpnws.control.paging import Filter, Page, Text
from vpnws.control.ports import command
from vpnws.control.views import AddressView, FdbView


class FlushBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which MACs to forget: one of a network, all of a port, or all of a network."""

    network: Text = ""
    mac: Text = ""
    port: Text = ""


class FlushView(Struct, frozen=True):
    """What a flush has done."""

    flushed: int
    """MACs that were forgotten or freed."""


def list_fdb(call: Call) -> Page[FdbView]:
    """Answer with one page of MACs."""
    query: Filter = call.query
    return ask_page(call.peers, FdbAsk(filter=query), fdb_key, query.limit)


def list_addresses(call: Call) -> Page[AddressView]:
    """Answer with one page of addresses."""
    query: Filter = call.query
    return ask_page(call.peers, AddressesAsk(filter=query), address_key, query.limit)


def flush(call: Call) -> FlushView:
    """Forget where MACs are."""
    body: FlushBody = call.body
    if bool(body.port) == bool(body.network) or (body.port and body.mac):
        raise CallError("name a port, or a network, or a network and one mac of it")
    ask = FlushAsk(
        network=body.network,
        mac=check_mac(body.mac) if body.mac else "",
        port=body.port,
        by=call.by,
    )
    if ask.port:
        return FlushView(command(call, ask.port, ask).count)
    count = _count(call, ask)
    if ask.mac and not count:
        count = _count(call, FreeAsk(network=ask.network, mac=ask.mac, by=call.by))
    return FlushView(count)


def _count(call: Call, ask: FlushAsk | FreeAsk) -> int:
    answers = call.peers.ask(ask)
    count = sum(done.count for done in answers.by_process.values())
    if answers.missing:
        who = answers.missing[0]
        raise CallError(f"{count} MACs are forgotten, but {who} did not answer: try again", 503)
    return count


ROUTES: Final = (
    Route(
        "GET",
        "fdb",
        list_fdb,
        "Lists where each MAC is, and for whom MACs are reserved, by network and MAC.",
        Page[FdbView],
        query=Filter,
    ),
    Route(
        "GET",
        "addresses",
        list_addresses,
        "Lists the IP addresses heard by ARP, ND and DHCP, by network and address.",
        Page[AddressView],
        query=Filter,
    ),
    Route(
        "POST",
        "fdb/flush",
        flush,
        "Forgets where MACs are until they send again; one that is only reserved becomes free.",
        FlushView,
        body=FlushBody,
    ),
)
