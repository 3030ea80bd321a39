"""Decides when to ping the server and when to give up on it; `now` is an argument."""

from __future__ import annotations

from enum import Enum
from typing import Final

PING_AFTER_S: Final = 20.0
"""A server that is silent for this long is pinged. nginx hangs up on a silent server after 60 s."""
DEAD_AFTER_S: Final = 60.0
"""When a server that answers pings is silent for this long, the connection is given up."""


class Due(Enum):
    """What to do now."""

    NOTHING = "nothing"
    PING = "ping"
    GIVE_UP = "give up"


class Keepalive:
    """Any received byte proves that the server is alive, not only a pong.

    The C vpn-ws server never answers a ping. A server that has never answered one also counts as
    alive while it takes what is written: the kernel ends a connection whose peer acknowledges
    nothing (`dial.DEAD_AFTER_MS`).
    """

    def __init__(self, now: float, *, answers_pings: bool = False) -> None:
        """`answers_pings` says that the server is known to answer pings."""
        self._answers_pings = answers_pings
        self._received_at_s = now
        self._accepted_at_s = now
        self._pinged_at_s = now

    def received(self, now: float) -> None:
        """Note that bytes came in at `now`."""
        self._received_at_s = now

    def accepted(self, now: float) -> None:
        """Note that nothing was unsent at `now`."""
        self._accepted_at_s = now

    def answered(self) -> None:
        """Note that the server has answered a ping."""
        self._answers_pings = True

    def due(self, now: float) -> Due:
        """Return what to do at `now`: PING once for each PING_AFTER_S of silence, then GIVE_UP."""
        if now - self._alive_at_s() >= DEAD_AFTER_S:
            return Due.GIVE_UP
        if now < self._next_ping_s():
            return Due.NOTHING
        self._pinged_at_s = now
        return Due.PING

    def next_at_s(self) -> float:
        """Return the earliest time at which `due` may return PING or GIVE_UP."""
        return min(self._next_ping_s(), self._alive_at_s() + DEAD_AFTER_S)

    def _alive_at_s(self) -> float:
        if self._answers_pings:
            return self._received_at_s
        return max(self._received_at_s, self._accepted_at_s)

    def _next_ping_s(self) -> float:
        return max(self._received_at_s, self._pinged_at_s) + PING_AFTER_S
