"""Decides when a port's drops are reported, and in which words: at once, then folded.

The first drop for a reason is reported at the next look. Those that follow are counted, and
reported together when `SAY_AGAIN_S` has passed. A queue that is full for a moment does no harm, so
drops at egress are reported only when they last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections import Counter

SAY_AGAIN_S: Final = 60.0
"""A port's drops for one reason are reported at most this often."""
LASTING_S: Final = 10.0
"""Drops at a station's queue are reported when they have gone on for this long."""
SAY_LASTING_AGAIN_S: Final = 600.0
"""Such lasting drops are reported at most this often: a slow path drops all the time."""

LASTING: Final = frozenset((Drop.EGRESS_FULL, Drop.CODEL))
UNSAID: Final = frozenset((Drop.RESERVED, Drop.FILTERED, Drop.NO_BROADCAST, Drop.NO_MULTICAST))
"""These are not faults: the standard or a setting asks for them."""
OF_A_MAC: Final = frozenset((Drop.MAC_TAKEN, Drop.MOVE_GUARD, Drop.STATION_LIMIT))
"""Reasons that are about the frame's source."""

WHY: Final = {
    Drop.LENGTH: "frames are longer than the server's vpnws-max-frame, or shorter than a header:"
    " give the TAP a lower MTU, or the server a higher vpnws-max-frame",
    Drop.OFFLOAD: "records are not true of their frames: the client is faulty; --no-offload helps",
    Drop.SOURCE: "frames come from a group address or from zero, which no station has",
    Drop.NOT_ALLOWED: "VPNWS_ALLOW in the web server does not allow where frames go",
    Drop.BLOCKED: "the operator has blocked the port",
    Drop.STATION_LIMIT: "the port has all the MACs that it may have; a bridge needs VPNWS_BRIDGE on"
    " in the web server, others a higher vpnws-station-limit",
    Drop.MAC_TAKEN: "the MAC belongs to {holder}: use another MAC (--mac), or end that station",
    Drop.MOVE_GUARD: "{holder} had the MAC a moment ago: a machine that has moved is reached here"
    " in a second; if this is said again, one LAN is joined twice, or two stations have one MAC"
    " (--mac gives another)",
    Drop.STORM: "broadcast, multicast and unknown unicast exceed vpnws-storm-limit",
    Drop.FLOOD_QUEUE: "more broadcast, multicast and unknown unicast is sent than this process can"
    " copy to all its ports: a lower vpnws-storm-limit or smaller networks help",
    Drop.EGRESS_FULL: "more is sent there than the path can take: the queue is full",
    Drop.CODEL: "more is sent there than the path can take: there is always a queue",
    Drop.DEVICE: "the kernel refuses frames: check that the TAP is up (ip link)",
}
"""Why frames are dropped and what to do, for the log and for the station."""


@dataclass(slots=True)
class _Burst:
    """How many drops for one reason were seen and reported, and when."""

    seen: int = 0
    said: int = 0
    began_s: float = -inf
    last_s: float = -inf
    said_s: float = -inf


class DropWatch:
    """Watches one port's counts of drops."""

    __slots__ = ("_bursts", "_said", "_seen")

    def __init__(self) -> None:
        """Nothing has been dropped yet."""
        self._bursts: dict[Drop, _Burst] = {}
        self._seen = self._said = 0

    def look(self, drops: Counter[Drop], now: float) -> list[tuple[Drop, int]]:
        """Return the reasons to report now, each with the frames dropped since its last report.

        Call it every second or so; `now` is in seconds.
        """
        total = drops.total()
        if total == self._seen == self._said:
            return []
        self._seen = total
        said = []
        for reason, count in drops.items():
            burst = self._bursts.setdefault(reason, _Burst())
            _note(burst, count, now)
            if reason not in UNSAID and count > burst.said and _is_due(burst, reason, now):
                said.append((reason, count - burst.said))
                burst.said, burst.said_s = count, now
        silent = sum(count for reason, count in drops.items() if reason in UNSAID)
        self._said = silent + sum(burst.said for burst in self._bursts.values())
        return said


def explain(reason: Drop, holder: str) -> str:
    """Return why frames are dropped and what to do; `holder` is who has the MAC they came from."""
    return WHY[reason].format(holder=holder)


def _note(burst: _Burst, count: int, now: float) -> None:
    if count > burst.seen:
        if now - burst.last_s > LASTING_S:
            burst.began_s = now
        burst.seen, burst.last_s = count, now


def _is_due(burst: _Burst, reason: Drop, now: float) -> bool:
    if reason not in LASTING:
        return now - burst.said_s >= SAY_AGAIN_S
    has_lasted = burst.last_s - burst.began_s >= LASTING_S
    return has_lasted and now - burst.said_s >= SAY_LASTING_AGAIN_S
