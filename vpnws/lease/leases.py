"""Leases: gives each station an address of its network's pool, the same one again if it can.

Nobody gets an address that a port holds, whatever the clock says: only the end of the port, or of
its process, makes a lease end. So a clock that is set forward frees none of a station that is here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from vpnws.errors import LeaseError
from vpnws.lease.answer import Full, Lease, Refusal
from vpnws.lease.choice import Choice
from vpnws.lease.table import LEFT, MAX_LEASES, Row
from vpnws.lease.who import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpnws.lease.answer import Answer, Holder
    from vpnws.lease.plan import Plan
    from vpnws.lease.pool import Address, Pool
    from vpnws.lease.table import Table
    from vpnws.lease.who import Who

DECLINED: Final = b"in use elsewhere"
"""The key of whom addresses belong to that somebody uses without a lease: of nobody's name."""
DECLINED_S: Final = 600.0
"""Such an address is given to nobody for so long. Then it may be free, or is declined again."""
MAX_DECLINED: Final = 16
"""Such addresses of a network. A further one is simply free, so that a station that declines all
that it is given cannot use up a pool."""
FULL_S: Final = 0.5
"""A pool that had no free address is not searched again for so long: that reads all of it, and
somebody may ask again and again. Who has had an address gets it all the same."""


class Leases:
    """Who may use which address. The time `now_s` is always Unix time in seconds."""

    def __init__(self, table: Table, plan: Plan, lease_s: int) -> None:
        """`lease_s` is how long an address is kept for a station that has left."""
        self._table = table
        self.lease_s = lease_s
        self._full_until_s: dict[tuple[str, int], float] = {}
        """By network and version; there are no more of them than pools."""
        self.plan = plan

    def begin(self, now_s: float) -> int:
        """Begin as a server with no stations yet: whoever held an address has just left.

        Rows that the plan no longer has are removed, and none lasts longer than the time for one
        who has just left. Returns how many leases there are. Raises LeaseError.
        """
        ends_s = now_s + self.lease_s
        with self._table.change():
            for row in self._table.rows(None, MAX_LEASES + 1):
                if not self.plan.is_known(row.network, row.address):
                    self._table.remove(row)
                elif row.port != LEFT or row.until_s > ends_s:
                    self._table.put(self._left(row, now_s))
            return self._table.count()

    def lease(
        self,
        network: str,
        who: Who,
        holder: Holder,
        now_s: float,
        *,
        version: int = 4,
        wanted: Address | None = None,
    ) -> Answer:
        """Give the port `holder` an address for the host `who`, the one it has had if possible.

        `wanted` is given if it is free and `who` has no other. A port that holds its most gives up
        what it has had longest.
        """
        return self._answer(network, who, holder, now_s, version, wanted, is_strict=False)

    def lease_each(self, network: str, who: Who, holder: Holder, now_s: float) -> list[Answer]:
        """Do as `lease` for each version of IP that the network has a pool of, in one change."""
        answers = partial(self.lease, network, who, holder, now_s)
        versions = self.plan.versions(network)
        if not versions:
            return []
        try:
            with self._table.change():
                return [answers(version=version) for version in versions]
        except LeaseError as error:
            return [Refusal(str(error))]

    def renew(
        self, network: str, who: Who, holder: Holder, now_s: float, address: Address
    ) -> Answer:
        """Give the port `holder` just this `address`: it is theirs, or was, or is free.

        A free one only for a host that has none.
        """
        return self._answer(network, who, holder, now_s, address.version, address, is_strict=True)

    def leave_all(self, holders: Iterable[Holder], now_s: float) -> None:
        """Note that ports have gone: their addresses are kept for a time. Raises LeaseError."""
        with self._table.change():
            for holder in holders:
                self._let_go(self._table.held_by(holder.slot, holder.port), now_s)

    def abandon(self, slot: int, now_s: float) -> int:
        """Note that all ports of a process have gone; return how many leases that were.

        Raises LeaseError.
        """
        if not self._table.held(slot):
            return 0
        with self._table.change():
            return self._let_go(self._table.held(slot), now_s)

    def release(self, network: str, address: Address, who: Who, holder: Holder) -> Row | None:
        """Free an address that the host `who` gives up at the port `holder`; return what it was.

        None if it is another's: another host of the same name cannot free it, nor can whoever uses
        the host's MAC at another port. Raises LeaseError.
        """
        with self._table.change():
            row = self._table.at(network, address)
            if row is None or not _is_theirs(row, who, holder):
                return None
            self._table.remove(row)
            return row

    def free(self, network: str, address: Address) -> Row | None:
        """Free an address that no port holds; return its row, None if there is none.

        Raises LeaseError.
        """
        with self._table.change():
            row = self._table.at(network, address)
            if row is not None and row.port == LEFT:
                self._table.remove(row)
            return row

    def decline(
        self, network: str, address: Address, who: Who, holder: Holder, now_s: float
    ) -> None:
        """Give to nobody for DECLINED_S what somebody else uses, as its lessee `who` has noticed.

        Of MAX_DECLINED addresses of a network at once; a further one is free again at once. Raises
        LeaseError.
        """
        with self._table.change():
            row = self._table.at(network, address)
            if row is None or row.mac != who.mac or not _is_theirs(row, who, holder):
                return
            if len(self._table.of(network, address.version, DECLINED)) >= MAX_DECLINED:
                self._table.remove(row)
                return
            until_s = now_s + DECLINED_S
            declined = replace(row, key=DECLINED, mac=b"", name="", port=LEFT)
            self._table.put(replace(declined, since_s=now_s, until_s=until_s))

    def rows(self, after: tuple[str, int, Address] | None, most: int) -> list[Row]:
        """Return up to `most` leases in the order of (network, version, address) behind `after`.

        Among them are those that have ended and nobody else has got. Raises LeaseError.
        """
        return self._table.rows(after, most)

    def _answer(
        self,
        network: str,
        who: Who,
        holder: Holder,
        now_s: float,
        version: int,
        wanted: Address | None,
        *,
        is_strict: bool,
    ) -> Answer:
        pool = self.plan.pool(network, version)
        if pool is None:
            return Refusal(
                f"the network {network} has no addresses of IPv{version} to give (vpnws-pool)"
            )
        if who.key() == NOBODY:
            return Refusal(
                "a station that the web server does not name gets an address by its MAC, and this"
                " one has not announced any"
            )
        choice = Choice(self._table, self.plan, pool, who, holder, now_s, wanted, is_strict)
        try:
            kept = choice.kept()
            if kept is not None:
                return self._lease_of(pool, kept)
            with self._table.change():
                return self._give(choice, pool)
        except LeaseError as error:
            return Refusal(str(error))

    def _give(self, choice: Choice, pool: Pool) -> Answer:
        place = (pool.network, pool.version)
        found = choice.choose(is_searched=choice.now_s < self._full_until_s.get(place, 0.0))
        if isinstance(found, Full):
            self._full_until_s[place] = choice.now_s + FULL_S
        if isinstance(found, Refusal):
            return found
        holder, now_s = choice.holder, choice.now_s
        self._let_go(choice.given_up(found), now_s)
        row = Row(
            pool.network,
            found,
            choice.key,
            choice.who.mac,
            choice.who.name(),
            holder.slot,
            holder.port,
            now_s,
            now_s + self.lease_s,
        )
        self._table.put(row)
        return self._lease_of(pool, found)

    def _lease_of(self, pool: Pool, address: Address) -> Lease:
        return Lease(address, pool.subnet.prefixlen, self.lease_s)

    def _let_go(self, rows: Sequence[Row], now_s: float) -> int:
        for row in rows:
            self._table.put(self._left(row, now_s))
        return len(rows)

    def _left(self, row: Row, now_s: float) -> Row:
        return replace(row, port=LEFT, since_s=now_s, until_s=now_s + self.lease_s)


def _is_theirs(row: Row, who: Who, holder: Holder) -> bool:
    """Return whether a row is of the host `who`, and no port but `holder` has it."""
    is_host = row.key == who.key() and row.mac in (b"", who.mac)
    return is_host and (row.port == LEFT or row.is_held_by(holder))
