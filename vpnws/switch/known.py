"""What one process knows of one network's MACs, without a look at the shared table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.switch.entry import Entry, LocalPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.switch.location import Location
    from vpnws.switch.port import AccessPort

    OnLearn: TypeAlias = Callable[[AccessPort, bytes, "Location | None"], None]
    """Is called with the port, the MAC that is new there, and where it was before, if it moved."""

REPLACE_IDLE_S: Final = 5.0
"""A port at its limit may replace a MAC that has been quiet for this long. So a guest that is
restored with another MAC is not locked out, and two busy stations cannot take turns."""
RESCAN_EVERY_S: Final = 1.0
"""A port at its limit looks through its MACs for quiet ones at most this often, and keeps those
that it found. So many new MACs cost one look, and not one look each."""


@dataclass(slots=True)
class MacCounts:
    """What has happened to the MACs of one network in one process."""

    refused: int = 0
    """How often a MAC was not kept because a table was full."""
    moved: int = 0
    """How often a MAC came to a port here from another port."""
    evicted: int = 0
    """How often a quiet MAC had to give way because its port was at its limit."""


class KnownMacs:
    """Entries by MAC, and the ports of this process that have some of them."""

    __slots__ = ("_limit", "_local_ports", "_on_learn", "counts", "entries")

    def __init__(self, limit: int, on_learn: OnLearn) -> None:
        """`limit` bounds the MACs."""
        self._limit = limit
        self._on_learn = on_learn
        self._local_ports: dict[int, LocalPort] = {}
        """By the ids of their ports."""
        self.entries: dict[bytes, Entry] = {}
        """Only this class changes it."""
        self.counts = MacCounts()

    def stations_of(self, port: AccessPort) -> frozenset[bytes]:
        """Return the MACs learned on `port`."""
        local = self._local_ports.get(port.id)
        return frozenset(local.stations if local is not None else ())

    def here(self) -> Iterator[tuple[bytes, AccessPort]]:
        """Yield each MAC of this process's ports, with its port."""
        for mac, entry in self.entries.items():
            if entry.local is not None:
                yield mac, entry.local.port

    def port_here(self, mac: bytes) -> AccessPort | None:
        """Return the port of this process that has `mac`; None if none has."""
        entry = self.entries.get(mac)
        return entry.local.port if entry is not None and entry.local is not None else None

    def local(self, port: AccessPort) -> LocalPort:
        """Return what is kept of a port of this process."""
        local = self._local_ports.get(port.id)
        if local is None:
            local = self._local_ports[port.id] = LocalPort(port)
        return local

    def look(self, port: AccessPort) -> LocalPort:
        """Return the same, and keep nothing of a port of which nothing is kept yet."""
        return self._local_ports.get(port.id) or LocalPort(port)

    def pop_port(self, port: AccessPort) -> LocalPort | None:
        """Forget a port, but not its MACs; return what was kept of it."""
        return self._local_ports.pop(port.id, None)

    def keep(self, mac: bytes, entry: Entry, before: Location | None = None) -> bool:
        """Put `entry` in the place of what was known of `mac`; False if there is no room.

        `before` is the other port that `mac` has moved from.
        """
        old = self.entries.get(mac)
        if old is None and len(self.entries) >= self._limit and not self._drop_elsewhere():
            self.counts.refused += 1
            return False
        if old is not None and old.local is not None and old.local is not entry.local:
            old.local.lose(mac)
        self.entries[mac] = entry
        if entry.local is not None:
            is_new = mac not in entry.local.stations
            entry.local.stations.add(mac)
            entry.local.lost.discard(mac)
            if is_new:
                self._on_learn(entry.local.port, mac, before)
        return True

    def drop(self, mac: bytes) -> None:
        """Forget `mac`, if it is known."""
        entry = self.entries.pop(mac, None)
        if entry is not None and entry.local is not None:
            entry.local.stations.discard(mac)

    def forgive(self, mac: bytes) -> None:
        """Forget which ports have lost `mac` to another."""
        for local in self._local_ports.values():
            local.lost.discard(mac)

    def to_replace(self, local: LocalPort, now: float) -> bytes | None:
        """Return the MAC that a port at its limit may forget for a new one, None if there is none.

        It has been quiet for REPLACE_IDLE_S. If none has, note when to look again.
        """
        while local.quiet:
            mac = local.quiet.pop()
            if mac in local.stations and self._replaceable_s(mac) <= now:
                return mac
        if now >= local.rescan_s:
            local.rescan_s = now + RESCAN_EVERY_S
            longest_last = sorted(local.stations, key=self._replaceable_s, reverse=True)
            first_s = self._replaceable_s(longest_last[-1])
            if first_s <= now:
                local.quiet = [mac for mac in longest_last if self._replaceable_s(mac) <= now]
                return local.quiet.pop()
            local.rescan_s = max(first_s, local.rescan_s)
        local.full_until_s = local.rescan_s
        return None

    def has_room(self, local: LocalPort, now: float) -> bool:
        """Return whether a port may get one more MAC, as it is or in the place of a quiet one.

        It changes nothing, and costs a look at each MAC of a port at its limit.
        """
        if len(local.stations) < local.port.station_limit:
            return True
        looks = (
            local.stations if now >= local.rescan_s else local.stations.intersection(local.quiet)
        )
        return any(self._replaceable_s(mac) <= now for mac in looks)

    def _replaceable_s(self, mac: bytes) -> float:
        """Return when a MAC of a port of this process will have been quiet for long enough."""
        return self.entries[mac].seen_s + REPLACE_IDLE_S

    def _drop_elsewhere(self) -> bool:
        """Make room: forget all MACs of other processes. The shared table still has them."""
        elsewhere = [mac for mac, entry in self.entries.items() if entry.local is None]
        for mac in elsewhere:
            del self.entries[mac]
        return bool(elsewhere)
