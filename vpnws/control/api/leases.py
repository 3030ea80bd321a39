"""Routes of leased addresses: who has which, and how to free one."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from vpnws.control.asks import Done, ask_here
from vpnws.control.calls import Call, CallError, Route
from vpnws.control.leases import LeasesAsk, LeaseView, ReleaseAsk, fits, lease_key
from vpnws.control.macs import check_mac
from vpnws.control.paging import Filter, Page, Text, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReleaseBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which address to free."""

    network: Text
    ip: Text


def list_leases(call: Call) -> Page[LeaseView]:
    """Answer with one page of leases; every process knows all of them."""
    query: Filter = call.query
    wanted = replace(
        query,
        mac=check_mac(query.mac) if query.mac else "",
        ip=_check_ip(query.ip) if query.ip else "",
    )
    found: list[LeaseView] = []
    for row in _rows(call, query.after):
        if fits(row, wanted):
            if len(found) == query.limit:
                return Page(items=tuple(found), next=encode_cursor(lease_key(found[-1])))
            found.append(row)
    return Page(items=tuple(found))


def release(call: Call) -> Done:
    """Free an address."""
    body: ReleaseBody = call.body
    return ask_here(call.peers, ReleaseAsk(network=body.network, ip=_check_ip(body.ip), by=call.by))


def _rows(call: Call, after: str) -> Iterator[LeaseView]:
    """Yield all leases behind a place, some at a time: meanwhile frames have their turn."""
    while True:
        rows = ask_here(call.peers, LeasesAsk(after=after))
        yield from rows.items
        if not rows.has_more:
            return
        after = encode_cursor(lease_key(rows.items[-1]))
        call.peers.let_others_run()


def _check_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise CallError("ip must be an IP address, such as 10.8.0.7") from error


ROUTES: Final = (
    Route(
        "GET",
        "leases",
        list_leases,
        "Lists the addresses that stations lease, by network and address.",
        Page[LeaseView],
        query=Filter,
    ),
    Route(
        "POST",
        "leases/release",
        release,
        "Frees an address whose station has left.",
        Done,
        body=ReleaseBody,
    ),
)
