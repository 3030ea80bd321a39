"""Decides when to ping the server and when to give up on it; `now` is an argument.

A silent server may have nothing to say, may be behind a slow link, or may be gone. A ping tells
the first from the others, and the kernel the second from the third: while the link is only slow,
the peer's TCP goes on acknowledging. So a server that is gone is given up long before TCP does it,
and a slow link gets its time.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

PING_AFTER_S: Final = 20.0
"""A server that is silent for this long is pinged, so no proxy on the way sees an idle connection.
nginx hangs up on a silent server after 60 s."""
SUSPECT_AFTER_S: Final = 5.0
"""When something was sent and nothing came for this long, the server is pinged at once."""
PATIENCE_S: Final = 10.0
"""A ping that is not answered for this long, while the peer's TCP acknowledges nothing either,
ends the connection."""
DEAD_AFTER_S: Final = 60.0
"""When a server that answers pings is silent for this long, the connection is given up, whatever
its TCP acknowledges."""
LATE_S: Final = 3.0
"""A wake-up that is later than this means that the program or its machine stood still: the server
is pinged at once."""
DOUBT_PATIENCE_S: Final = 1.0
"""The patience with a ping after the program stood still, or after the cable was out."""
LOOK_EVERY_S: Final = 1.0
"""While frames come and go, the keepalive is asked this often whether something is due."""


class Due(Enum):
    """What to do now."""

    NOTHING = "nothing"
    PING = "ping"
    GIVE_UP = "give up"


class Keepalive:
    """Any received byte proves that the server is alive, not only a pong.

    The C vpn-ws server never answers a ping. A server that has never answered one also counts as
    alive while it takes what is written: the kernel ends a connection whose peer acknowledges
    nothing (`tcp.DEAD_AFTER_MS`).
    """

    def __init__(self, now: float, *, answers_pings: bool = False, sent: int = 0) -> None:
        """`answers_pings` says that the server is known to answer pings; `sent` as for `due`."""
        self._answers_pings = answers_pings
        self._received_at_s = now
        self._accepted_at_s = now
        self._pinged_at_s = now
        self._sent = sent
        self._sent_at_s = now
        # When the program last stood still, its own silence ended here.
        self._woken_at_s = now
        self._has_doubt = False
        # For how long the answer to a ping is waited for, and until when; None while none is due.
        self._patience_s: float | None = None
        self._give_up_at_s = 0.0

    def received(self, now: float) -> None:
        """Note that bytes came in at `now`."""
        self._received_at_s = now
        self._patience_s = None

    def accepted(self, now: float) -> None:
        """Note that nothing was unsent at `now`."""
        self._accepted_at_s = now

    def answered(self) -> None:
        """Note that the server has answered a ping."""
        self._answers_pings = True

    def doubt(self) -> None:
        """Have `due` ping next, with little patience. A server that never answers is left alone."""
        self._has_doubt = self._answers_pings

    @property
    def is_doubted(self) -> bool:
        """Whether the answer to a ping of doubt is waited for."""
        return self._patience_s == DOUBT_PATIENCE_S

    def silent_s(self, now: float) -> float:
        """Return for how long nothing has come in."""
        return now - self._received_at_s

    def due(self, now: float, sent: int = 0, unacknowledged_s: float | None = None) -> Due:
        """Return what to do at `now`; PING is returned once for each ping.

        `sent` grows with each frame that is sent. `unacknowledged_s` is for how long the peer's
        TCP has acknowledged nothing, None if nobody knows.
        """
        if now - self.next_at_s() > LATE_S:
            self._woken_at_s = now
            self.doubt()
        self._note_sent(now, sent)
        if self._has_doubt:
            self._has_doubt = False
            return self._ping(now, DOUBT_PATIENCE_S)
        if self._is_over(now, unacknowledged_s):
            return Due.GIVE_UP
        if now >= self._next_ping_s():
            return self._ping(now, self._patience_s or PATIENCE_S)
        return Due.NOTHING

    def next_at_s(self) -> float:
        """Return when `due` has to be asked at the latest, if nothing comes in or goes out."""
        latest_s = min(self._next_ping_s(), self._alive_at_s() + DEAD_AFTER_S)
        return latest_s if self._patience_s is None else min(latest_s, self._give_up_at_s)

    def _ping(self, now: float, patience_s: float) -> Due:
        self._pinged_at_s = now
        if self._answers_pings and patience_s != self._patience_s:
            self._patience_s = patience_s
            self._give_up_at_s = now + patience_s
        return Due.PING

    def _note_sent(self, now: float, sent: int) -> None:
        """Note when something was first sent after the last byte had come in."""
        if sent != self._sent:
            self._sent = sent
            if self._sent_at_s <= self._received_at_s:
                self._sent_at_s = now

    def _is_over(self, now: float, unacknowledged_s: float | None) -> bool:
        if now - self._alive_at_s() >= DEAD_AFTER_S:
            return True
        if self._patience_s is None or now < self._give_up_at_s:
            return False
        # TCP acknowledges: the link is slow, or what is behind a proxy does not answer.
        left_s = 0.0 if unacknowledged_s is None else self._patience_s - unacknowledged_s
        self._give_up_at_s = now + left_s
        return left_s <= 0

    def _alive_at_s(self) -> float:
        alive_at_s = max(self._received_at_s, self._woken_at_s)
        return alive_at_s if self._answers_pings else max(alive_at_s, self._accepted_at_s)

    def _next_ping_s(self) -> float:
        routine_s = max(self._received_at_s, self._pinged_at_s) + PING_AFTER_S
        is_suspect = self._sent_at_s > self._received_at_s and self._patience_s is None
        if not is_suspect or not self._answers_pings:
            return routine_s
        return min(routine_s, self._sent_at_s + SUSPECT_AFTER_S)
