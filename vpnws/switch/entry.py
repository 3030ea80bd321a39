"""What an FDB keeps: one entry for each MAC, and one for each port that has MACs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from vpnws.switch.guard.bucket import TokenBucket
from vpnws.switch.guard.claims import CHALLENGES_PER_S, OWN, judge

if TYPE_CHECKING:
    from vpnws.switch.guard.claims import Verdict
    from vpnws.switch.location import Location
    from vpnws.switch.port import AccessPort, Port


@dataclass(slots=True, eq=False)
class LocalPort:
    """One port of this process, with the MACs learned on it."""

    port: AccessPort
    stations: set[bytes] = field(default_factory=set)
    """The MACs."""
    lost: set[bytes] = field(default_factory=set)
    """MACs that were learned here and are at another port now, as many as the port may have."""
    quiet: list[bytes] = field(default_factory=list)
    """MACs that were quiet at the last look through all of them, the quietest last; at most as many
    as the port may have."""
    rescan_s: float = -inf
    """When it may look through all of them again."""
    full_until_s: float = -inf
    """Before this time, no MAC of the full port has been quiet long enough to be replaced."""
    challenges: TokenBucket = field(default_factory=lambda: TokenBucket(CHALLENGES_PER_S, 0.0))
    """Bounds how often the port challenges the holders of MACs."""

    def is_full(self, now: float) -> bool:
        """Tell whether the port has all its MACs, and none that gives way yet."""
        return len(self.stations) >= self.port.station_limit and now < self.full_until_s

    def judge(self, mac: bytes, there: Location, now: float) -> Verdict:
        """Judge a frame from `mac`, which came in here and is at another place, `there`."""
        claim, is_tap = self.port.claim_on(mac, there), self.port.claim == OWN
        had_it = mac in self.lost or mac in self.stations
        return judge(there, claim, now, is_tap=is_tap, had_it=had_it)

    def lose(self, mac: bytes) -> None:
        """Note that `mac` is at another port now."""
        self.stations.discard(mac)
        if len(self.lost) >= self.port.station_limit:
            self.lost.clear()
        self.lost.add(mac)


@dataclass(slots=True, eq=False)
class Entry:
    """What this process knows of one MAC."""

    port: Port
    local: LocalPort | None
    """`port` as one of this process; None if it is a trunk, so the MAC is at another process."""
    seen_s: float
    """When the MAC last sent a frame here; if it is at another process, when it was looked up."""
    refresh_s: float
    """When to write the shared entry again; if the MAC is at another process, when to read it."""
    epoch: bytes
