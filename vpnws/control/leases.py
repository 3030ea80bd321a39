"""Leased addresses, as the operator sees and frees them (see asks)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from vpnws.control.asks import Ask, Done
from vpnws.control.paging import Rows, Text, contains

if TYPE_CHECKING:
    from vpnws.control.paging import Filter


class LeaseView(Struct, frozen=True, kw_only=True):
    """An address that a station leases, or has leased until nobody else needed it."""

    network: str
    ip: str
    mac: str = ""
    """The host's; empty if it is not known."""
    name: str = ""
    """The station's user or DN; empty if the web server names nobody."""
    port: str = ""
    """The port that has it; empty if its station has left."""
    since_s: float
    """Since when that port has had it, or its station has been away."""
    until_s: float = 0.0
    """When it is free for others; 0 while its station is here."""


class LeasesAsk(Ask[Rows[LeaseView]], frozen=True, kw_only=True):
    """Which leases come after this place in the list? Every process knows all of them."""

    after: Text = ""


class ReleaseAsk(Ask[Done], frozen=True, kw_only=True):
    """Free an address whose station has left."""

    network: str
    ip: str
    by: str = ""


def lease_key(row: LeaseView) -> tuple[str, int, str]:
    """Return where a lease stands in the list: IPv4 first, then by number."""
    ip = ip_address(row.ip)
    return row.network, ip.version, ip.packed.hex()


def fits(row: LeaseView, wanted: Filter) -> bool:
    """Return whether a lease is one of those that a filter wants, whose MAC and IP are as lists
    have them.
    """
    return (
        wanted.network in ("", row.network)
        and wanted.user in ("", row.name)
        and wanted.mac in ("", row.mac)
        and wanted.port in ("", row.port)
        and wanted.ip in ("", row.ip)
        and contains(wanted.q, row.network, row.ip, row.mac, row.name, row.port)
    )
