"""The table of leases: what a row says, and what every table can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vpnws.lease.answer import Holder
    from vpnws.lease.pool import Address

MAX_LEASES: Final = 16_384
"""Leases of one server, of all networks together. Whoever needs one more gets that which ended
longest ago, or no address if none has ended."""
MAX_LEASES_OF_ONE: Final = 256
"""Addresses of one version of IP that one name may lease in a network, for all its hosts."""
LEFT: Final = 0
"""The port of a row whose station has left."""


@dataclass(frozen=True, slots=True)
class Row:
    """One lease."""

    network: str
    address: Address
    key: bytes
    """Whose it is (`Who.key`)."""
    mac: bytes
    """The host that has it, or had it last; empty if it is not known."""
    name: str
    """For people."""
    slot: int
    """The process whose port holds it."""
    port: int
    """The port that holds it; LEFT if that has gone."""
    since_s: float
    """Since when its port has held it, or has been gone, in Unix time."""
    until_s: float
    """When it ends, if no port holds it."""

    def is_free(self, now_s: float) -> bool:
        """Return whether anybody may have the address."""
        return self.port == LEFT and self.until_s <= now_s

    def is_held_by(self, holder: Holder) -> bool:
        """Return whether the port `holder` has the address."""
        return (self.slot, self.port) == (holder.slot, holder.port)


class Table(Protocol):
    """Where rows are, one for each network and address. All may raise LeaseError."""

    def change(self) -> AbstractContextManager[object]:
        """Return what makes all that is done within it one step that no other can come between."""

    def at(self, network: str, address: Address) -> Row | None:
        """Return the row of an address."""

    def of(self, network: str, version: int, key: bytes) -> list[Row]:
        """Return the rows that belong to `key`, by the order of addresses."""

    def held_by(self, slot: int, port: int) -> list[Row]:
        """Return the rows that a port holds, those it has had longest first."""

    def put(self, row: Row) -> None:
        """Write a row, in the place of the one of its address."""

    def remove(self, row: Row) -> None:
        """Remove the row of the address of `row`."""

    def count(self) -> int:
        """Return how many rows there are."""

    def first_free(self, now_s: float, network: str = "", version: int = 0) -> Row | None:
        """Return the row that ended longest ago, of one network and version if they are given."""

    def taken(self, network: str, version: int) -> set[Address]:
        """Return the addresses that have rows."""

    def held(self, slot: int) -> list[Row]:
        """Return the rows that the ports of a process hold."""

    def rows(self, after: tuple[str, int, Address] | None, most: int) -> list[Row]:
        """Return up to `most` rows in the order of (network, version, address) behind `after`."""
