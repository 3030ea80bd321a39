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
VERSION: Final = 1
"""Of the tables; increase it with every change to them."""
APPLICATION: Final = 0x76706E77
"""Marks a file as ours (https://www.sqlite.org/pragma.html#pragma_application_id)."""
SCHEMA: Final = (
    """CREATE TABLE leases (
        network TEXT NOT NULL, version INTEGER NOT NULL, address BLOB NOT NULL,
        key BLOB NOT NULL, mac BLOB NOT NULL, name TEXT NOT NULL,
        slot INTEGER NOT NULL, port INTEGER NOT NULL, since_s REAL NOT NULL, until_s REAL NOT NULL,
        PRIMARY KEY (network, version, address)
    ) WITHOUT ROWID""",
    "CREATE INDEX by_key ON leases (key)",
    "CREATE INDEX by_port ON leases (slot, port) WHERE port != 0",
    "CREATE INDEX by_end ON leases (until_s) WHERE port = 0",
    "CREATE TABLE server (token TEXT NOT NULL, leases INTEGER NOT NULL)",
    "INSERT INTO server VALUES ('', 0)",
    # To count them by themselves would take longer the more there are.
    """CREATE TRIGGER one_more AFTER INSERT ON leases
        BEGIN UPDATE server SET leases = leases + 1; END""",
    """CREATE TRIGGER one_less AFTER DELETE ON leases
        BEGIN UPDATE server SET leases = leases - 1; END""",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
"""What makes the tables: the leases, how many there are, and which server has begun with them."""
_MARKS: Final = ", ".join("?" * len(COLUMNS))
_NEW: Final = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[3:])
_PLACE: Final = ", ".join(COLUMNS[:3])
PUT: Final = f"INSERT INTO leases VALUES ({_MARKS}) ON CONFLICT ({_PLACE}) DO UPDATE SET {_NEW}"  # noqa: S608
"""Writes a row. INSERT OR REPLACE would not call the trigger that counts the row it replaces."""


def row_of(values: Sequence[Any]) -> Row:
    """Return the row that the file has as `values`, in the order of COLUMNS."""
    network, _, address, key, mac, name, slot, port, since_s, until_s = values
    return Row(network, ip_address(address), key, mac, name, slot, port, since_s, until_s)


def values_of(row: Row) -> tuple[Any, ...]:
    """Return `row` as the file has it."""
    place = (row.network, row.address.version, row.address.packed)
    whose = (row.key, row.mac, row.name)
    return (*place, *whose, row.slot, row.port, row.since_s, row.until_s)
