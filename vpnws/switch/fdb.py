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

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.switch.guard.moves import ANONYMOUS, MoveGuard, may_claim
from vpnws.switch.location import Location, SharedTable
from vpnws.switch.port import AccessPort, Port, Trunk

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(slots=True, eq=False)
class Entry:
    """What this process knows of one MAC."""

    port: Port
    seen_s: float
    """When a frame from it last came in here; for a MAC elsewhere, when it was looked up."""
    refresh_s: float
    """When the shared entry must be written again (here), or read again (elsewhere)."""
    epoch: bytes


class Fdb:
    """Learns on which port each MAC of one network is, and finds it."""

    __slots__ = (
        "_age_s",
        "_entries",
        "_guard",
        "_limit",
        "_misses",
        "_network",
        "_ports",
        "_shared",
        "_slot",
        "_trunks",
        "_verdicts",
        "epoch",
        "full",
    )

    def __init__(
        self,
        network: str,
        ports: Mapping[int, AccessPort],
        trunks: Mapping[int, Trunk],
        *,
        slot: int,
        shared: SharedTable,
        age_s: float,
        limit: int,
    ) -> None:
        """`ports` are this process's by id, `trunks` the others' by slot, `limit` the most MACs."""
        self._network = network
        self._ports = ports
        self._trunks = trunks
        self._slot = slot
        self._shared = shared
        self._age_s = age_s
        self._limit = limit
        self._entries: dict[bytes, Entry] = {}
        self._misses: dict[bytes, float] = {}
        self._verdicts: dict[bytes, tuple[AccessPort, Drop | None, float]] = {}
        self._guard = MoveGuard()
        self.epoch = b""
        """The shared epoch as last read by the switch; compared by identity."""
        self.full = 0
        """How often a MAC was not kept because a table was full."""

    def __len__(self) -> int:
        return len(self._entries)

    def learn(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        """Note that a frame from `mac` came in on `port`; return why it must be dropped, if so."""
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.port is port
            and entry.epoch is self.epoch
            and now < entry.refresh_s
        ):
            entry.seen_s = now
            return None
        return self._learn_slowly(port, mac, now)

    def find(self, mac: bytes, now: float) -> Port | None:
        """Return the port toward `mac`, or None when it is unknown."""
        entry = self._entries.get(mac)
        if entry is not None and entry.epoch is self.epoch:
            port = entry.port
            if not port.is_trunk or now < entry.refresh_s:
                return port
        return self._find_slowly(mac, now)

    def forget_port(self, port: AccessPort) -> None:
        """Remove every MAC learned on `port`, here and in the shared table.

        Those of a named station are kept for it there, as long as they would have aged.
        """
        for mac in list(port.stations):
            self._forget(mac, port, reserve=True)

    def age(self, now: float) -> None:
        """Forget what has not been seen for the ageing time; drop stale knowledge of elsewhere."""
        for mac, entry in list(self._entries.items()):
            if entry.port.is_trunk:
                if now >= entry.refresh_s:
                    del self._entries[mac]
            elif now - entry.seen_s >= self._age_s and isinstance(entry.port, AccessPort):
                self._forget(mac, entry.port)

    def _learn_slowly(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        held = self._verdicts.get(mac)
        if held is not None and held[0] is port and now < held[2]:
            return held[1]
        mine = Location(self._slot, port.id, port.claim)
        there = self._shared.get(self._network, mac)
        refused = self._refusal(port, mac, mine, there, now)
        if refused is not None:
            self._hold(port, mac, refused, now)
            return refused
        moved = there is not None and there.is_somewhere and not there.is_at(mine)
        known = self._entries.get(mac)
        if known is None or known.port is not port or now >= known.refresh_s or moved or not there:
            if not self._shared.put(self._network, mac, mine):
                # Not learned, so flooded: a MAC known here alone could be had by another port.
                self.full += 1
                self._hold(port, mac, None, now)
                return None
            refresh_s = now + self._age_s / REFRESH_PART
        else:
            refresh_s = known.refresh_s
        if moved:
            self._shared.bump()
        self._keep(mac, Entry(port, now, refresh_s, self.epoch))
        return None

    def _refusal(
        self, port: AccessPort, mac: bytes, mine: Location, there: Location | None, now: float
    ) -> Drop | None:
        """Judge a source that is new on `port`, or not lately seen there."""
        if there and self._is_live(there) and not may_claim(there.claim, mine.claim):
            return Drop.MAC_TAKEN
        if mac not in port.stations and not self._make_room(port, now):
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
        return there.slot != self._slot or there.port_id in self._ports

    def _make_room(self, port: AccessPort, now: float) -> bool:
        """See that `port` may learn one more MAC, giving up one that has long been quiet."""
        if len(port.stations) < port.station_limit:
            return True
        if now < port.full_until_s:
            return False
        entries = self._entries
        oldest = min(port.stations, key=lambda mac: entries[mac].seen_s)
        port.full_until_s = entries[oldest].seen_s + REPLACE_IDLE_S
        if now < port.full_until_s:
            return False
        self._forget(oldest, port)
        return True

    def _find_slowly(self, mac: bytes, now: float) -> Port | None:
        if now < self._misses.get(mac, -inf):
            return None
        there = self._shared.get(self._network, mac)
        port = self._port_at(there)
        entry = self._entries.get(mac)
        if port is None:
            self._miss(mac, entry, now)
        elif entry is not None and entry.port is port and not port.is_trunk:
            entry.epoch = self.epoch
        else:
            self._keep(mac, Entry(port, now, now + RECHECK_S, self.epoch))
        return port

    def _port_at(self, there: Location | None) -> Port | None:
        if there is None:
            return None
        if there.slot == self._slot:
            return self._ports.get(there.port_id)
        return self._trunks.get(there.slot)

    def _miss(self, mac: bytes, entry: Entry | None, now: float) -> None:
        """Forget a MAC that the shared table does not have, and do not look again at once."""
        if entry is not None:
            del self._entries[mac]
            if isinstance(entry.port, AccessPort):
                entry.port.stations.discard(mac)
        if len(self._misses) >= MAX_MISSES:
            self._misses.clear()
        self._misses[mac] = now + MISS_S

    def _keep(self, mac: bytes, entry: Entry) -> None:
        old = self._entries.get(mac)
        if old is None and len(self._entries) >= self._limit and not self._drop_elsewhere():
            self.full += 1
            return
        if old is not None and isinstance(old.port, AccessPort) and old.port is not entry.port:
            old.port.stations.discard(mac)
        self._entries[mac] = entry
        self._misses.pop(mac, None)
        if isinstance(entry.port, AccessPort):
            entry.port.stations.add(mac)

    def _drop_elsewhere(self) -> bool:
        """Make room by forgetting what the shared table can tell again."""
        elsewhere = [mac for mac, entry in self._entries.items() if entry.port.is_trunk]
        for mac in elsewhere:
            del self._entries[mac]
        return bool(elsewhere)

    def _forget(self, mac: bytes, port: AccessPort, *, reserve: bool = False) -> None:
        port.stations.discard(mac)
        self._entries.pop(mac, None)
        there = self._shared.get(self._network, mac)
        if there is None or not there.is_at(Location(self._slot, port.id, port.claim)):
            return
        if reserve and port.claim != ANONYMOUS:
            self._shared.reserve(self._network, mac, port.claim)
        else:
            self._shared.delete(self._network, mac)
        self._shared.bump()
