"""A table of leases without a file."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from vpnws.lease.table import LEFT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from vpnws.lease.pool import Address
    from vpnws.lease.table import Row


class MemoryTable:
    """A table in memory, for one process."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, Address], Row] = {}

    def change(self) -> AbstractContextManager[object]:
        """Return nothing special: one process cannot come between."""
        return nullcontext()

    def at(self, network: str, address: Address) -> Row | None:
        """Return the row of an address."""
        return self._rows.get((network, address))

    def of(self, network: str, version: int, key: bytes) -> list[Row]:
        """Return the rows that belong to `key`, by the order of addresses."""
        return [row for row in self._of(network, version) if row.key == key]

    def held_by(self, slot: int, port: int) -> list[Row]:
        """Return the rows that a port holds, those it has had longest first."""
        held = [row for row in self.held(slot) if row.port == port]
        return sorted(held, key=lambda row: row.since_s)

    def put(self, row: Row) -> None:
        """Write a row, in the place of the one of its address."""
        self._rows[row.network, row.address] = row

    def remove(self, row: Row) -> None:
        """Remove the row of the address of `row`."""
        self._rows.pop((row.network, row.address), None)

    def count(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    def first_free(self, now_s: float, network: str = "", version: int = 0) -> Row | None:
        """Return the row that ended longest ago, of one network and version if they are given."""
        rows = self._of(network, version) if network else self._rows.values()
        free = [row for row in rows if row.is_free(now_s)]
        return min(free, key=lambda row: row.until_s, default=None)

    def taken(self, network: str, version: int) -> set[Address]:
        """Return the addresses that have rows."""
        return {row.address for row in self._of(network, version)}

    def held(self, slot: int) -> list[Row]:
        """Return the rows that the ports of a process hold."""
        return [row for row in self._rows.values() if row.port != LEFT and row.slot == slot]

    def rows(self, after: tuple[str, int, Address] | None, most: int) -> list[Row]:
        """Return up to `most` rows in the order of (network, version, address) behind `after`."""
        place = None if after is None else (after[0], after[1], int(after[2]))
        behind = (row for row in self._rows.values() if place is None or _place(row) > place)
        return sorted(behind, key=_place)[:most]

    def _of(self, network: str, version: int) -> Iterable[Row]:
        rows = self._rows.values()
        mine = (row for row in rows if row.network == network and row.address.version == version)
        return sorted(mine, key=_place)


def _place(row: Row) -> tuple[str, int, int]:
    return row.network, row.address.version, int(row.address)
