"""The forwarding database of one network: a local table in front of one that processes share.

Theory of operation. The shared table says for each MAC which process (slot) and which of its
ports has it. Reading it costs microseconds and a lock, so each process remembers what it found
in `_entries`. Whoever changes the owner of a MAC, or removes one, writes the shared table first
and then moves the shared epoch; an entry noted under an older epoch is read again before it is
next used, whichever way. So a move is followed at the next frame, and nothing is announced.
A lost race between two processes leaves at worst no shared entry: frames are then flooded,
which reaches the station all the same, until it is heard again.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.switch.entry import Entry, Home
from vpnws.switch.guard.moves import ANONYMOUS, MoveGuard, may_claim
from vpnws.switch.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.switch.location import SharedView
    from vpnws.switch.port import AccessPort, Port, Trunk

RECHECK_S: Final = 5.0
"""A MAC found at another process is looked up again after this time, even if no process said that
it moved."""
VERDICT_S: Final = 0.1
"""A source that was refused stays refused for this long; then it is judged anew."""
MAX_VERDICTS: Final = 1024
"""Refused sources that are remembered. A full table is emptied, and they are judged anew."""
MISS_S: Final = 0.1
"""A MAC found nowhere is not looked for again for this long; its frames are flooded."""
MAX_MISSES: Final = 1024
"""MACs remembered as found nowhere. A full table is emptied, and they are looked for again."""
REPLACE_IDLE_S: Final = 5.0
"""A port at its limit may replace a MAC that has been quiet for this long. So a guest that is
restored with another MAC is not locked out, and two stations cannot share one place."""
REFRESH_PART: Final = 4
"""The shared entry is written again when a quarter of its life has passed."""


class Fdb:
    """Learns on which port each MAC of one network is, and finds it."""

    __slots__ = (
        "_age_s",
        "_entries",
        "_guard",
        "_homes",
        "_limit",
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
        self._homes: dict[int, Home] = {}
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
        home = self._homes.get(port.id)
        return frozenset(home.stations if home is not None else ())

    def learn(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        """Note that a frame from `mac` came in on `port`; return why it must be dropped, if so."""
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

    def find(self, mac: bytes, now: float) -> Port | None:
        """Return the port toward `mac`, or None when it is unknown."""
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.epoch is self._shared.epoch
            and (entry.home is not None or now < entry.refresh_s)
        ):
            return entry.port
        return self._find_slowly(mac, now)

    def forget_port(self, port: AccessPort) -> None:
        """Remove every MAC learned on `port`, here and in the shared table.

        Those of a named station are kept for it there, as long as they would have aged.
        """
        home = self._homes.pop(port.id, None)
        if home is not None:
            for mac in list(home.stations):
                self._forget(mac, home, reserve=True)

    def age(self, now: float) -> None:
        """Forget what has not been seen for the ageing time; drop stale knowledge of elsewhere."""
        for mac, entry in list(self._entries.items()):
            if entry.home is None:
                if now >= entry.refresh_s:
                    del self._entries[mac]
            elif now - entry.seen_s >= self._age_s:
                self._forget(mac, entry.home)

    def _learn_slowly(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        held = self._verdicts.get(mac)
        if held is not None and held[0] is port and now < held[2]:
            return held[1]
        mine = self._location(port)
        there = self._table.get(self._network, mac)
        refused = self._refusal(port, mac, mine, there, now)
        if refused is not None:
            self._hold(port, mac, refused, now)
            return refused
        moved = there is not None and there.is_somewhere and not there.is_at(mine)
        known = self._entries.get(mac)
        if known is None or known.port is not port or now >= known.refresh_s or moved or not there:
            if not self._table.put(self._network, mac, mine):
                # Not learned, so flooded: a MAC known here alone could be had by another port.
                self.full += 1
                self._hold(port, mac, None, now)
                return None
            refresh_s = now + self._age_s / REFRESH_PART
        else:
            refresh_s = known.refresh_s
        if moved:
            self._table.bump()
        self._keep(mac, Entry(port, self._home(port), now, refresh_s, self._shared.epoch))
        return None

    def _refusal(
        self, port: AccessPort, mac: bytes, mine: Location, there: Location | None, now: float
    ) -> Drop | None:
        """Judge a source that is new on `port`, or not lately seen there."""
        if there and self._is_live(there) and not may_claim(there.claim, mine.claim):
            return Drop.MAC_TAKEN
        home = self._home(port)
        if mac not in home.stations and not self._make_room(home, now):
            return Drop.STATION_LIMIT
        moves = there is not None and there.is_somewhere and not there.is_at(mine)
        if moves and not self._guard.admit(mac, now):
            return Drop.MOVE_GUARD
        return None

    def _hold(self, port: AccessPort, mac: bytes, verdict: Drop | None, now: float) -> None:
        if len(self._verdicts) >= MAX_VERDICTS:
            self._verdicts.clear()
        self._verdicts[mac] = (port, verdict, now + VERDICT_S)

    def _is_live(self, there: Location) -> bool:
        """Tell whether a location can still exist; one here may be our forerunner's."""
        return there.slot != self._shared.slot or there.port_id in self._ports

    def _location(self, port: AccessPort) -> Location:
        return Location(self._shared.slot, port.id, port.claim)

    def _home(self, port: AccessPort) -> Home:
        home = self._homes.get(port.id)
        if home is None:
            home = self._homes[port.id] = Home(port)
        return home

    def _make_room(self, home: Home, now: float) -> bool:
        """See that a port may learn one more MAC, giving up one that has long been quiet."""
        if len(home.stations) < home.port.station_limit:
            return True
        if now < home.full_until_s:
            return False
        entries = self._entries
        oldest = min(home.stations, key=lambda mac: entries[mac].seen_s)
        home.full_until_s = entries[oldest].seen_s + REPLACE_IDLE_S
        if now < home.full_until_s:
            return False
        self._forget(oldest, home)
        return True

    def _find_slowly(self, mac: bytes, now: float) -> Port | None:
        if now < self._misses.get(mac, -inf):
            return None
        there = self._table.get(self._network, mac)
        epoch, entry = self._shared.epoch, self._entries.get(mac)
        if there is not None and there.slot == self._shared.slot:
            here = self._ports.get(there.port_id)
            if here is not None:
                if entry is not None and entry.port is here:
                    entry.epoch = epoch
                else:
                    self._keep(mac, Entry(here, self._home(here), now, now + RECHECK_S, epoch))
                return here
        elif there is not None and (trunk := self._trunks.get(there.slot)) is not None:
            self._keep(mac, Entry(trunk, None, now, now + RECHECK_S, epoch))
            return trunk
        self._miss(mac, entry, now)
        return None

    def _miss(self, mac: bytes, entry: Entry | None, now: float) -> None:
        """Forget a MAC that the shared table does not have, and do not look again at once."""
        if entry is not None:
            del self._entries[mac]
            if entry.home is not None:
                entry.home.stations.discard(mac)
        if len(self._misses) >= MAX_MISSES:
            self._misses.clear()
        self._misses[mac] = now + MISS_S

    def _keep(self, mac: bytes, entry: Entry) -> None:
        old = self._entries.get(mac)
        if old is None and len(self._entries) >= self._limit and not self._drop_elsewhere():
            self.full += 1
            return
        if old is not None and old.home is not None and old.home is not entry.home:
            old.home.stations.discard(mac)
        self._entries[mac] = entry
        self._misses.pop(mac, None)
        if entry.home is not None:
            entry.home.stations.add(mac)

    def _drop_elsewhere(self) -> bool:
        """Make room by forgetting what the shared table can tell again."""
        elsewhere = [mac for mac, entry in self._entries.items() if entry.home is None]
        for mac in elsewhere:
            del self._entries[mac]
        return bool(elsewhere)

    def _forget(self, mac: bytes, home: Home, *, reserve: bool = False) -> None:
        port = home.port
        home.stations.discard(mac)
        self._entries.pop(mac, None)
        there = self._table.get(self._network, mac)
        if there is None or not there.is_at(self._location(port)):
            return
        if reserve and port.claim != ANONYMOUS:
            self._table.reserve(self._network, mac, port.claim)
        else:
            self._table.delete(self._network, mac)
        self._table.bump()
