"""How a lease is kept in the file of leases: its tables, and a row of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from vpnws.lease.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    *("network", "version", "address", "key", "mac", "name"),
    *("slot", "port", "since_s", "until_s"),
)
"""As they are in a `Row`, and the version of IP, so that addresses sort by their bytes."""
SCHEMA: Final = (
    """CREATE TABLE leases (
        network TEXT NOT NULL, version INTEGER NOT NULL, address BLOB NOT NULL,
        key BLOB NOT NULL, mac BLOB NOT NULL, name TEXT NOT NULL,
        slot INTEGER NOT NULL, port INTEGER NOT NULL, since_s REAL NOT NULL, until_s REAL NOT NULL,
        PRIMARY KEY (network, version, address)
    ) WITHOUT ROWID""",
    "CREATE INDEX by_key ON leases (network, version, key)",
    "CREATE INDEX by_port ON leases (slot, port) WHERE port != 0",
    "CREATE INDEX by_end ON leases (until_s) WHERE port = 0",
    "CREATE TABLE server (token TEXT NOT NULL)",
)
"""What makes the tables: the leases, and which server has begun with them."""


def row_of(values: Sequence[Any]) -> Row:
    """Return the row that the file has as `values`, in the order of COLUMNS."""
    network, _, address, key, mac, name, slot, port, since_s, until_s = values
    return Row(network, ip_address(address), key, mac, name, slot, port, since_s, until_s)


def values_of(row: Row) -> tuple[Any, ...]:
    """Return `row` as the file has it."""
    place = (row.network, row.address.version, row.address.packed)
    whose = (row.key, row.mac, row.name)
    return (*place, *whose, row.slot, row.port, row.since_s, row.until_s)
