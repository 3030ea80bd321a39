"""The forwarding database of one network: a local table in front of one that processes share.

Theory of operation. The shared table says for each MAC which process (slot) has it, and at which
port. Reading it costs microseconds and a lock, so each process remembers what it found in
`_entries`. A process that moves or removes a MAC writes the shared table first, and then moves the
shared epoch. An entry from an older epoch is read again before its next use. So every process
follows a move at the next frame, without a message. If two processes race, at worst the shared
entry is missing. Frames are then flooded, and still reach the station, until it sends again.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.switch.entry import Entry, LocalPort
from vpnws.switch.guard.claims import ANONYMOUS, OWN, Verdict
from vpnws.switch.known import KnownMacs
from vpnws.switch.recent import RecentMisses, RecentVerdicts
from vpnws.switch.shared_entries import SharedEntries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.switch.guard.bucket import TokenBucket
    from vpnws.switch.known import OnLearn
    from vpnws.switch.location import Location, SharedView
    from vpnws.switch.port import AccessPort, Port, Trunk

RECHECK_S: Final = 5.0
"""A MAC found at another process is looked up again after this time, even if no process said that
it moved."""


class Fdb:
    """Learns on which port each MAC of one network is, and finds it."""

    __slots__ = (
        "_age_s",
        "_entries",
        "_network",
        "_ports",
        "_shared",
        "_shared_entries",
        "_table",
        "_trunks",
        "known",
        "misses",
        "verdicts",
    )

    def __init__(
        self,
        network: str,
        ports: Mapping[int, AccessPort],
        trunks: Mapping[int, Trunk],
        shared: SharedView,
        *,
        age_s: float,
        limit: int,
        on_learn: OnLearn,
    ) -> None:
        """`ports` are this process's, by id; `trunks` lead to the others, by slot.

        `age_s` is the ageing time, `limit` bounds the MACs known here.
        """
        self._network = network
        self._ports = ports
        self._trunks = trunks
        self._shared = shared
        self._table = shared.table
        self._shared_entries = SharedEntries(network, shared, age_s)
        self._age_s = age_s
        self.known = KnownMacs(limit, on_learn)
        """Like the two below, only this class changes it; others may look."""
        self._entries = self.known.entries
        self.misses = RecentMisses()
        self.verdicts = RecentVerdicts()

    def __len__(self) -> int:
        return len(self._entries)

    def stations_of(self, port: AccessPort) -> frozenset[bytes]:
        """Return the MACs learned on `port`."""
        return self.known.stations_of(port)

    def learn(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        """Note that a frame from `mac` came in on `port`. Return the reason to drop it, or None."""
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.port is port
            and entry.epoch is self._shared.epoch
            and now < entry.refresh_s
        ):
            entry.seen_s = now
            return None
        return self._learn_slowly(port, mac, now)

    def announce(self, port: AccessPort, mac: bytes, now: float) -> None:
        """Note that `port` says it has `mac`, or that its claim on `mac` has changed."""
        self.verdicts.forget(mac)
        self._learn_slowly(port, mac, now)

    def find(self, mac: bytes, now: float, look_ups: TokenBucket | None = None) -> Port | None:
        """Return the port that leads to `mac`, or None if it is unknown.

        `look_ups` bounds how often the shared table is asked for what is not known here. When they
        are used up, it counts as unknown.
        """
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.epoch is self._shared.epoch
            and (entry.local is not None or now < entry.refresh_s)
        ):
            return entry.port
        return self._find_slowly(mac, now, look_ups)

    def is_anothers(self, there: Location, port: AccessPort) -> bool:
        """Return whether a location is not `port`, and still exists or belongs to a name."""
        if there.slot == self._shared.slot and there.port_id not in self._ports:
            return there.claim != ANONYMOUS
        return not there.is_at(self._shared.slot, port.id)

    def forget_port(self, port: AccessPort, *, release: bool = False) -> None:
        """Remove every MAC learned on `port`, here and in the shared table.

        Those of a named station stay reserved for it in the shared table, unless `release` says
        that it gives them up.
        """
        local = self.known.pop_port(port)
        for mac in list(local.stations if local is not None else ()):
            self._forget(mac, port, reserve=not release)

    def flush(self, mac: bytes) -> bool:
        """Forget where `mac` is and what was judged of it; return whether a port here had it.

        A name's stays reserved for it. What is the server's own is not forgotten.
        """
        self.verdicts.forget(mac)
        self.known.forgive(mac)
        port = self.known.port_here(mac)
        if port is None or port.claim_on(mac) == OWN:
            return False
        self._forget(mac, port, reserve=True)
        return True

    def disown(self, port: AccessPort, mac: bytes) -> None:
        """Forget `mac`, which is no longer one of the server's own."""
        self._forget(mac, port)

    def age(self, now: float) -> None:
        """Forget MACs not seen for the ageing time; a name's is kept while its station is here."""
        for mac, entry in list(self._entries.items()):
            if entry.local is None:
                if now >= entry.refresh_s:
                    self.known.drop(mac)
            elif entry.local.port.claim_on(mac) != ANONYMOUS:
                if now >= entry.refresh_s:
                    self._prolong(mac, entry, entry.local.port, now)
            elif now - entry.seen_s >= self._age_s:
                self._forget(mac, entry.local.port)

    def _learn_slowly(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        verdict = self.verdicts.find(port, mac, now)
        if verdict is not None:
            return verdict[0]
        local = self.known.local(port)
        if mac not in local.stations and local.is_full(now):
            # Said without a look at the shared table: a flood of sources costs its sender only.
            return Drop.STATION_LIMIT
        there = self._table.get(self._network, mac)
        refused = self._refusal(local, mac, there, now)
        if refused is None and self._take(local, mac, there, now):
            return None
        self.verdicts.add(port, mac, refused, now)
        return refused

    def _refusal(
        self, local: LocalPort, mac: bytes, there: Location | None, now: float
    ) -> Drop | None:
        """Judge a source that is new on a port, or that was not seen there lately."""
        if there is not None and self.is_anothers(there, local.port):
            if mac in local.stations:
                self.known.drop(mac)
                local.lose(mac)
            refused = self._contest(local, mac, there, now)
            if refused is not None:
                return refused
        if mac not in local.stations and not self._make_room(local, now):
            return Drop.STATION_LIMIT
        return None

    def _contest(self, local: LocalPort, mac: bytes, there: Location, now: float) -> Drop | None:
        """Return why a port may not take a MAC from another now; challenge that if it may."""
        verdict = local.judge(mac, there, now)
        if verdict is Verdict.TAKE:
            return None
        if verdict is Verdict.REFUSE:
            return Drop.MAC_TAKEN
        if verdict is Verdict.CHALLENGE and local.challenges.take(1, 1, now):
            self._shared_entries.challenge(local.port, mac, there, now)
        return Drop.MOVE_GUARD

    def _take(self, local: LocalPort, mac: bytes, there: Location | None, now: float) -> bool:
        """Learn `mac` on a port of ours; return False if the shared table has no room.

        Then it is not learned, so that another process may learn it, and its frames are flooded.
        """
        port, known = local.port, self._entries.get(mac)
        written_s = known.refresh_s if known is not None and known.port is port else -inf
        refresh_s = self._shared_entries.take(port, mac, there, written_s, now)
        if refresh_s is None:
            self.known.counts.refused += 1
            return False
        before = None
        if there is not None and there.is_somewhere and not there.is_at(self._shared.slot, port.id):
            before = there
            self.known.counts.moved += 1
            self._table.bump()
        entry = Entry(port, local, now, refresh_s, self._shared.epoch)
        self._keep(mac, entry, before)
        return True

    def _prolong(self, mac: bytes, entry: Entry, port: AccessPort, now: float) -> None:
        """Keep a silent station's MAC, unless it is elsewhere now."""
        refresh_s = self._shared_entries.prolong(port, mac, now)
        if refresh_s is None:
            self.known.drop(mac)
        else:
            entry.refresh_s = refresh_s

    def _make_room(self, local: LocalPort, now: float) -> bool:
        """Return whether a port may learn one more MAC; if it is full, forget a quiet one first."""
        if len(local.stations) < local.port.station_limit:
            return True
        if local.is_full(now):
            return False
        quiet = self.known.to_replace(local, now)
        if quiet is not None:
            self.known.counts.evicted += 1
            self._forget(quiet, local.port)
        return quiet is not None

    def _find_slowly(self, mac: bytes, now: float, look_ups: TokenBucket | None) -> Port | None:
        if self.misses.has(mac, now):
            return None
        if look_ups is not None and mac not in self._entries and not look_ups.take(1, 1, now):
            return None
        there = self._table.get(self._network, mac)
        epoch, entry = self._shared.epoch, self._entries.get(mac)
        if there is not None and there.slot == self._shared.slot:
            here = self._ports.get(there.port_id)
            if here is not None:
                if entry is None or entry.port is not here:
                    entry = Entry(here, self.known.local(here), now, now + RECHECK_S, epoch)
                    self._keep(mac, entry)
                entry.epoch = epoch
                if there.is_contested:
                    # The next frame from the MAC must answer the challenge.
                    entry.refresh_s = -inf
                return here
            # Two processes raced, and the port that lost has gone.
            self._shared_entries.reserve(mac, there)
        elif there is not None and (trunk := self._trunks.get(there.slot)) is not None:
            self._keep(mac, Entry(trunk, None, now, now + RECHECK_S, epoch))
            return trunk
        self.known.drop(mac)
        self.misses.add(mac, now)
        return None

    def _keep(self, mac: bytes, entry: Entry, before: Location | None = None) -> None:
        if self.known.keep(mac, entry, before):
            self.misses.forget(mac)

    def _forget(self, mac: bytes, port: AccessPort, *, reserve: bool = False) -> None:
        self.known.drop(mac)
        self._shared_entries.forget(port, mac, reserve=reserve)
