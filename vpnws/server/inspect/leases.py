"""Makes views of leased addresses, and frees one as the operator commands."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError, Done
from vpnws.control.events import Event
from vpnws.control.leases import LeaseView
from vpnws.control.paging import Rows, decode_cursor
from vpnws.errors import LeaseError
from vpnws.lease.table import LEFT
from vpnws.server.naming import short_name
from vpnws.text import log_words
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from vpnws.control.leases import LeasesAsk, ReleaseAsk
    from vpnws.lease.leases import Leases
    from vpnws.lease.pool import Address
    from vpnws.lease.table import Row
    from vpnws.server.node import Node

MAX_ROWS: Final = 200
"""Leases that are read at once, while frames wait; whoever wants more asks again."""


class LeaseViews:
    """The leases of all stations, as one process reads them."""

    def __init__(self, node: Node) -> None:
        """`node` may have leases or not."""
        self._node = node

    def list(self, ask: LeasesAsk) -> Rows[LeaseView]:
        """Return up to MAX_ROWS leases. Raises AskError."""
        if self._node.leasing is None:
            return Rows()
        try:
            rows = self._node.leasing.leases.rows(_place(ask.after), MAX_ROWS + 1)
        except LeaseError as error:
            raise AskError(str(error), 503) from error
        return Rows(items=tuple(map(_view, rows[:MAX_ROWS])), has_more=len(rows) > MAX_ROWS)

    def release(self, ask: ReleaseAsk) -> Done:
        """Free an address. Raises AskError if its station is here, or nobody has leased it."""
        row = self._free(ask.network, ip_address(ask.ip))
        if row is None:
            raise AskError(f"nobody has leased {ask.ip} in the network {ask.network}", 404)
        if row.port != LEFT:
            name = short_name(row.slot, row.port)
            raise AskError(f"port {name} has {ask.ip}: kick that station first, then release it")
        told = {"network": ask.network, "ip": ask.ip, "by": ask.by}
        self._node.journal.note(Event.RELEASE, f"released {log_words(**told)}", **told)
        return Done(1)

    def _free(self, network: str, address: Address) -> Row | None:
        leasing = self._node.leasing
        if leasing is None:
            raise AskError("this server leases no addresses: see vpnws-pool", 404)
        leases: Leases = leasing.leases
        try:
            return leases.free(network, address)
        except LeaseError as error:
            raise AskError(str(error), 503) from error


def _place(cursor: str) -> tuple[str, int, Address] | None:
    """Return the place that a cursor names. Raises AskError."""
    try:
        match decode_cursor(cursor):
            case ():
                return None
            case (str() as network, int() as version, str() as packed):
                return network, version, ip_address(bytes.fromhex(packed))
    except ValueError as error:
        raise AskError(str(error), 400) from error
    raise AskError("after is the `next` of another list", 400)


def _view(row: Row) -> LeaseView:
    is_here = row.port != LEFT
    return LeaseView(
        network=row.network,
        ip=str(row.address),
        mac=format_mac(row.mac) if row.mac else "",
        name=row.name,
        port=short_name(row.slot, row.port) if is_here else "",
        since_s=row.since_s,
        until_s=0.0 if is_here else row.until_s,
    )
