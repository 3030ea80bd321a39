"""What one process writes about the MACs of one network into the table that all processes share."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.guard.claims import OWN
from vpnws.switch.location import Location
from vpnws.switch.port import Rival

if TYPE_CHECKING:
    from vpnws.switch.location import SharedView
    from vpnws.switch.port import AccessPort

REFRESH_PART: Final = 4
"""The shared entry is written again after this part of its life: a quarter."""


class SharedEntries:
    """The shared table, as one process writes it for one network."""

    __slots__ = ("_age_s", "_network", "_shared", "_table")

    def __init__(self, network: str, shared: SharedView, age_s: float) -> None:
        """An entry of a MAC that belongs to nobody ends `age_s` after it was written."""
        self._network = network
        self._shared = shared
        self._table = shared.table
        self._age_s = age_s

    def take(
        self, port: AccessPort, mac: bytes, there: Location | None, refresh_s: float, now: float
    ) -> float | None:
        """Write that `mac` is on `port`, unless `there`, the entry, says so until `refresh_s`.

        Return when to write it again; None if the table has no room.
        """
        claim = port.claim_on(mac, there)
        is_pinned = there is not None and there.is_pinned and there.claim == claim
        mine = Location(self._shared.slot, port.id, claim, is_pinned=is_pinned)
        mine = replace(mine, until_s=self._until_s(mine, now))
        if there is not None and there.is_at(mine.slot, mine.port_id):
            if there.is_contested:
                port.rival = Rival(mac, there.rival_slot, there.rival_id)
            elif there.claim == claim and now < refresh_s:
                return refresh_s
            mine = replace(mine, rival_s=now if there.is_contested else there.rival_s)
        return self._put(mac, mine, now)

    def prolong(self, port: AccessPort, mac: bytes, now: float) -> float | None:
        """Write the entry of a silent station again. That answers no challenge.

        Return when to write it again, now if the table has no room; None if the MAC is elsewhere.
        """
        there = self._table.get(self._network, mac)
        if there is None:
            there = Location(self._shared.slot, port.id, port.claim_on(mac))
        if not there.is_at(self._shared.slot, port.id):
            return None
        refresh_s = self._put(mac, replace(there, until_s=self._until_s(there, now)), now)
        return now if refresh_s is None else refresh_s

    def challenge(self, port: AccessPort, mac: bytes, there: Location, now: float) -> None:
        """Write that `port` challenges the holder, whose entry is `there`."""
        challenged = there.challenged(self._shared.slot, port.id, now)
        self._table.put(self._network, mac, challenged)
        self._table.bump()

    def forget(self, port: AccessPort, mac: bytes, *, reserve: bool) -> None:
        """Remove the entry if it says `port`; with `reserve` it stays reserved for its name.

        A pinned MAC stays reserved in any case.
        """
        there = self._table.get(self._network, mac)
        if there is None or not there.is_at(self._shared.slot, port.id):
            return
        if reserve or there.is_pinned:
            self.reserve(mac, there)
        else:
            self._table.delete(self._network, mac)
        self._table.bump()

    def reserve(self, mac: bytes, there: Location) -> None:
        """Keep `mac` for whoever has it by the entry `there`, who is away."""
        self._table.reserve(self._network, mac, there.claim, is_pinned=there.is_pinned)

    def _until_s(self, entry: Location, now: float) -> float:
        return inf if entry.claim == OWN or entry.is_pinned else now + self._age_s

    def _put(self, mac: bytes, entry: Location, now: float) -> float | None:
        is_written = self._table.put(self._network, mac, entry)
        return now + self._age_s / REFRESH_PART if is_written else None
