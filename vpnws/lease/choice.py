"""Chooses an address for one host: fixed, had before, wanted, its own place, or any free one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vpnws.lease.answer import Full, Refusal
from vpnws.lease.table import LEFT, MAX_LEASES, MAX_LEASES_OF_ONE, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.lease.answer import Holder
    from vpnws.lease.plan import Plan
    from vpnws.lease.pool import Address, Pool
    from vpnws.lease.table import Table
    from vpnws.lease.who import Who

MAX_PROBES: Final = 32
"""Addresses that are tried from where a station's own place in the pool is. Then the one is taken
that ended longest ago, or any that nobody has had."""
SIBLING_S: Final = 60.0
"""After its port has gone, another host of the same name does not get an address for so long: the
host that had it may be about to come back, and all hosts come back at once after a reload."""


@dataclass(slots=True)
class Choice:
    """The choice of an address for one host."""

    table: Table
    plan: Plan
    pool: Pool
    who: Who
    holder: Holder
    now_s: float
    wanted: Address | None
    is_strict: bool
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.who.key()

    def kept(self) -> Address | None:
        """Return the address that this port holds for this host already, if that is to stay."""
        best = self._fixed()
        for address in self._here():
            is_good = self.plan.may_have(self.who, self.pool.network, address)
            is_it = not self.is_strict or address == self.wanted
            if is_good and is_it and (address in best or not best):
                return address
        return None

    def choose(self, *, is_searched: bool = False) -> Address | Refusal:
        """Return the address to give, whose row may be another's that has ended.

        `is_searched` says that the pool was searched lately and is full: then only those addresses
        are looked at that this host comes to first.
        """
        if self.is_strict:
            wanted = self.wanted
            if wanted is not None and self._can_take(wanted) and not self._has_another(wanted):
                return self._with_room(wanted)
            return Refusal(f"{wanted} is not for this station, or another has it")
        for address in self._candidates():
            if self._can_take(address):
                return self._with_room(address)
        found = None if is_searched else self._of_those_that_ended() or self._never_given()
        return found or self._none_left()

    def given_up(self, address: Address) -> list[Row]:
        """Return the rows that this port no longer holds once it has `address`."""
        held = [
            row
            for row in self.table.held_by(self.holder.slot, self.holder.port)
            if row.address.version == self.pool.version and row.address != address
        ]
        others = [row for row in held if (row.key, row.mac) != (self.key, self.who.mac)]
        mine = [row for row in held if row not in others]
        return mine + others[: max(0, len(others) + 1 - self.holder.most)]

    def _theirs(self) -> list[Row]:
        return self.table.of(self.pool.network, self.pool.version, self.key)

    def _here(self) -> list[Address]:
        """Return the addresses that this port holds for this host."""
        return [
            row.address
            for row in self._theirs()
            if row.mac == self.who.mac and row.is_held_by(self.holder)
        ]

    def _fixed(self) -> list[Address]:
        return self.plan.fixed_for(self.who, self.pool.network, self.pool.version)

    def _candidates(self) -> Iterator[Address]:
        """Yield addresses by preference: fixed, had before, wanted, and the own place."""
        yield from self._fixed()
        yield from (row.address for row in sorted(self._theirs(), key=self._preference))
        if self.wanted is not None:
            yield self.wanted
        yield from self.pool.head(int.from_bytes(self.key + self.who.mac), MAX_PROBES)

    def _has_another(self, wanted: Address) -> bool:
        """Return whether this host has another address here, so that it needs no further one.

        It would be given one after the other, and each be kept for it for a time.
        """
        mine = self._here()
        return bool(mine) and wanted not in (*mine, *self._fixed())

    def _preference(self, row: Row) -> tuple[bool, bool, float]:
        return row.mac != self.who.mac, row.address != self.wanted, -row.until_s

    def _can_take(self, address: Address) -> bool:
        """Return whether the plan lets this host have `address`, and nobody else has it."""
        if not self.plan.may_have(self.who, self.pool.network, address):
            return False
        row = self.table.at(self.pool.network, address)
        if row is None or row.is_free(self.now_s):
            return True
        return row.key == self.key and (
            self._has_left(row) if row.port == LEFT else self._is_same_host(row)
        )

    def _has_left(self, row: Row) -> bool:
        """Return whether the host that had the row of this name is not about to come back."""
        is_host_itself = row.mac in (b"", self.who.mac)
        is_late = self.now_s >= row.since_s + SIBLING_S
        return is_host_itself or is_late or row.address in self._fixed()

    def _is_same_host(self, row: Row) -> bool:
        """Return whether the row, which a port holds, is held for this very host."""
        return row.mac == self.who.mac != b"" or (row.mac == b"" and row.is_held_by(self.holder))

    def _with_room(self, address: Address) -> Address | Refusal:
        """Return `address` if there is room in the table for its row; make room if possible."""
        row = self.table.at(self.pool.network, address)
        if (row is None or row.key != self.key) and len(self._theirs()) >= MAX_LEASES_OF_ONE:
            return Refusal(
                f"this name has leased {MAX_LEASES_OF_ONE} addresses already, which is the most"
            )
        if row is None and self.table.count() >= MAX_LEASES:
            ended = self.table.first_free(self.now_s)
            if ended is None:
                return Refusal(f"the server has leased {MAX_LEASES} addresses, which is the most")
            self.table.remove(ended)
        return address

    def _of_those_that_ended(self) -> Address | Refusal | None:
        """Return the address that ended longest ago and that this host may have."""
        while True:
            row = self.table.first_free(self.now_s, self.pool.network, self.pool.version)
            if row is None:
                return None
            if self._can_take(row.address):
                return self._with_room(row.address)
            # It is fixed for somebody else by now, and does not need a row.
            self.table.remove(row)

    def _never_given(self) -> Address | Refusal | None:
        """Return an address of a pool that is nearly full.

        A pool that is much larger than the table can be full of rows never gets here.
        """
        if self.pool.size > 2 * MAX_LEASES:
            return None
        taken = self.table.taken(self.pool.network, self.pool.version)
        for address in self.pool.addresses_from(int.from_bytes(self.key)):
            if address not in taken and self._can_take(address):
                return self._with_room(address)
        return None

    def _none_left(self) -> Refusal:
        return Full(
            f"all addresses of {self.pool} are leased: the operator can make vpnws-pool larger, or"
            " vpnws-lease-time shorter"
        )
