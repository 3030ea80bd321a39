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
from vpnws.switch.guard.moves import ANONYMOUS, MoveGuard, may_claim
from vpnws.switch.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.switch.guard.bucket import TokenBucket
    from vpnws.switch.location import SharedView
    from vpnws.switch.port import AccessPort, Port, Trunk

RECHECK_S: Final = 5.0
"""A MAC found at another process is looked up again after this time, even if no process said that
it moved."""
VERDICT_S: Final = 0.1
"""A source that was refused stays refused for this long; then it is judged again."""
MAX_VERDICTS: Final = 1024
"""Refused sources that are remembered. A full table is emptied, and they are judged again."""
MISS_S: Final = 0.1
"""A MAC that was not found is not looked up again for this long; its frames are flooded."""
MAX_MISSES: Final = 1024
"""MACs that were not found and are remembered. A full table is emptied, and they are looked up
again."""
REPLACE_IDLE_S: Final = 5.0
"""A port at its limit may replace a MAC that has been quiet for this long. So a guest that is
restored with another MAC is not locked out, and two busy stations cannot take turns."""
REFRESH_PART: Final = 4
"""The shared entry is written again after this part of its life: a quarter."""


class Fdb:
    """Learns on which port each MAC of one network is, and finds it."""

    __slots__ = (
        "_age_s",
        "_entries",
        "_guard",
        "_limit",
        "_local_ports",
        "_misses",
        "_network",
        "_ports",
        "_shared",
        "_table",
        "_trunks",
        "_verdicts",
        "full",
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
    ) -> None:
        """`ports` are this process's, by id; `trunks` lead to the others, by slot.

        `age_s` is the ageing time, `limit` bounds the MACs known here.
        """
        self._network = network
        self._ports = ports
        self._trunks = trunks
        self._shared = shared
        self._table = shared.table
        self._age_s = age_s
        self._limit = limit
        self._entries: dict[bytes, Entry] = {}
        self._local_ports: dict[int, LocalPort] = {}
        """By the ids of their ports."""
        self._misses: dict[bytes, float] = {}
        self._verdicts: dict[bytes, tuple[AccessPort, Drop | None, float]] = {}
        self._guard = MoveGuard()
        self.full = 0
        """How often a MAC was not kept because a table was full."""

    def __len__(self) -> int:
        return len(self._entries)

    def stations_of(self, port: AccessPort) -> frozenset[bytes]:
        """Return the MACs learned on `port`."""
        local = self._local_ports.get(port.id)
        return frozenset(local.stations if local is not None else ())

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

    def find(self, mac: bytes, now: float, look_ups: TokenBucket | None = None) -> Port | None:
        """Return the port that leads to `mac`, or None if it is unknown.

        `look_ups` bounds how often the shared table is asked. When they are used up, what is not
        known here counts as unknown.
        """
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.epoch is self._shared.epoch
            and (entry.local is not None or now < entry.refresh_s)
        ):
            return entry.port
        return self._find_slowly(mac, now, look_ups)

    def forget_port(self, port: AccessPort) -> None:
        """Remove every MAC learned on `port`, here and in the shared table.

        Those of a named station stay reserved for it in the shared table, for one ageing time.
        """
        local = self._local_ports.pop(port.id, None)
        if local is not None:
            for mac in list(local.stations):
                self._forget(mac, local, reserve=True)

    def age(self, now: float) -> None:
        """Forget MACs not seen for the ageing time, and stale entries of other processes' MACs."""
        for mac, entry in list(self._entries.items()):
            if entry.local is None:
                if now >= entry.refresh_s:
                    del self._entries[mac]
            elif now - entry.seen_s >= self._age_s:
                self._forget(mac, entry.local)

    def _learn_slowly(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        verdict = self._verdicts.get(mac)
        if verdict is not None and verdict[0] is port and now < verdict[2]:
            return verdict[1]
        local = self._local(port)
        if mac not in local.stations and local.is_full(now):
            # Said without a look at the shared table: a flood of sources costs its sender only.
            return Drop.STATION_LIMIT
        mine = self._location(port)
        there = self._table.get(self._network, mac)
        refused = self._refusal(port, mac, mine, there, now)
        if refused is not None:
            self._remember(port, mac, refused, now)
            return refused
        moved = there is not None and there.is_somewhere and not there.is_at(mine)
        known = self._entries.get(mac)
        if known is None or known.port is not port or now >= known.refresh_s or moved or not there:
            if not self._table.put(self._network, mac, mine):
                # Not learned, so its frames are flooded: another process may learn it meanwhile.
                self.full += 1
                self._remember(port, mac, None, now)
                return None
            refresh_s = now + self._age_s / REFRESH_PART
        else:
            refresh_s = known.refresh_s
        if moved:
            self._table.bump()
        self._keep(mac, Entry(port, self._local(port), now, refresh_s, self._shared.epoch))
        return None

    def _refusal(
        self, port: AccessPort, mac: bytes, mine: Location, there: Location | None, now: float
    ) -> Drop | None:
        """Judge a source that is new on `port`, or that was not seen there lately."""
        if there and self._is_live(there) and not may_claim(there.claim, mine.claim):
            return Drop.MAC_TAKEN
        local = self._local(port)
        if mac not in local.stations and not self._make_room(local, now):
            return Drop.STATION_LIMIT
        moves = there is not None and there.is_somewhere and not there.is_at(mine)
        if moves and not self._guard.admit(mac, now):
            return Drop.MOVE_GUARD
        return None

    def _remember(self, port: AccessPort, mac: bytes, verdict: Drop | None, now: float) -> None:
        if len(self._verdicts) >= MAX_VERDICTS:
            self._verdicts.clear()
        self._verdicts[mac] = (port, verdict, now + VERDICT_S)

    def _is_live(self, there: Location) -> bool:
        """Return whether a location still exists; one at our slot may be our predecessor's."""
        return there.slot != self._shared.slot or there.port_id in self._ports

    def _location(self, port: AccessPort) -> Location:
        return Location(self._shared.slot, port.id, port.claim)

    def _local(self, port: AccessPort) -> LocalPort:
        local = self._local_ports.get(port.id)
        if local is None:
            local = self._local_ports[port.id] = LocalPort(port)
        return local

    def _make_room(self, local: LocalPort, now: float) -> bool:
        """Return whether a port may learn one more MAC; if it is full, forget a quiet one first."""
        if len(local.stations) < local.port.station_limit:
            return True
        if local.is_full(now):
            return False
        entries = self._entries
        oldest = min(local.stations, key=lambda mac: entries[mac].seen_s)
        local.full_until_s = entries[oldest].seen_s + REPLACE_IDLE_S
        if now < local.full_until_s:
            return False
        self._forget(oldest, local)
        return True

    def _find_slowly(self, mac: bytes, now: float, look_ups: TokenBucket | None) -> Port | None:
        if now < self._misses.get(mac, -inf):
            return None
        if look_ups is not None and not look_ups.take(1, 1, now):
            return None
        there = self._table.get(self._network, mac)
        epoch, entry = self._shared.epoch, self._entries.get(mac)
        if there is not None and there.slot == self._shared.slot:
            here = self._ports.get(there.port_id)
            if here is not None:
                if entry is not None and entry.port is here:
                    entry.epoch = epoch
                else:
                    self._keep(mac, Entry(here, self._local(here), now, now + RECHECK_S, epoch))
                return here
        elif there is not None and (trunk := self._trunks.get(there.slot)) is not None:
            self._keep(mac, Entry(trunk, None, now, now + RECHECK_S, epoch))
            return trunk
        self._miss(mac, entry, now)
        return None

    def _miss(self, mac: bytes, entry: Entry | None, now: float) -> None:
        """Forget a MAC that the shared table does not have, and remember that it is missing."""
        if entry is not None:
            del self._entries[mac]
            if entry.local is not None:
                entry.local.stations.discard(mac)
        if len(self._misses) >= MAX_MISSES:
            self._misses.clear()
        self._misses[mac] = now + MISS_S

    def _keep(self, mac: bytes, entry: Entry) -> None:
        old = self._entries.get(mac)
        if old is None and len(self._entries) >= self._limit and not self._drop_elsewhere():
            self.full += 1
            return
        if old is not None and old.local is not None and old.local is not entry.local:
            old.local.stations.discard(mac)
        self._entries[mac] = entry
        self._misses.pop(mac, None)
        if entry.local is not None:
            entry.local.stations.add(mac)

    def _drop_elsewhere(self) -> bool:
        """Make room: forget all MACs of other processes. The shared table still has them."""
        elsewhere = [mac for mac, entry in self._entries.items() if entry.local is None]
        for mac in elsewhere:
            del self._entries[mac]
        return bool(elsewhere)

    def _forget(self, mac: bytes, local: LocalPort, *, reserve: bool = False) -> None:
        port = local.port
        local.stations.discard(mac)
        self._entries.pop(mac, None)
        there = self._table.get(self._network, mac)
        if there is None or not there.is_at(self._location(port)):
            return
        if reserve and port.claim != ANONYMOUS:
            self._table.reserve(self._network, mac, port.claim)
        else:
            self._table.delete(self._network, mac)
        self._table.bump()
