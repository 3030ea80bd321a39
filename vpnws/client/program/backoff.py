"""How long to wait before the next attempt to connect, by what went wrong; with jitter.

Four kinds of trouble. A server that restarts is there at once, and all its stations come then: they
spread. One that is away will be back, most likely soon, and asking costs it little: the waits stay
short for the first minutes. One that refuses for good is asked less and less often, since somebody
must act first. One whose operator has ended the connection wants to be left alone for a while. And
whoever says when to come back is obeyed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from vpnws.errors import (
    ClosedError,
    ConnectError,
    NetworkChangedError,
    NotSwitchError,
    RefusedError,
    TlsError,
)
from vpnws.wire.websocket import BANNED, GOING_AWAY, KICKED, SERVICE_RESTART

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_S: Final = 0.5
"""The longest wait after the first failure; each further failure doubles it, up to a cap."""
FACTOR: Final = 2.0
FLOOR_S: Final = 0.1
"""The shortest wait between two attempts: an immediate attempt would help nobody."""
RESTART_SPREAD_S: Final = 1.0
"""After a server has said that it restarts, its stations come back within this time, each at a
moment of its own."""
EXPELLED_S: Final = 60.0
"""A station whose connection the operator has ended stays away for this long, twice as long each
further time, up to MAX_RETRY_AFTER_S."""
AWAY_CAP_S: Final = 5.0
"""The longest wait while the server is away, for the first LONG_AWAY_S. So all stations are back
within about this time after the server."""
LONG_AWAY_S: Final = 600.0
"""A server that has been away for longer is asked less often, up to CAP_S. Machines and their
hypervisors restart in less."""
CAP_S: Final = 30.0
"""The longest wait for a server that has been away for long."""
REFUSED_CAP_S: Final = 60.0
"""The longest wait for a server that refuses for good."""
MAX_RETRY_AFTER_S: Final = 300.0
"""The longest time that a server can have a station stay away."""
RETRY_SPREAD: Final = 0.5
"""A station comes up to this share of the time later than it was told. So stations that were told
the same do not come at once."""
STABLE_AFTER_S: Final = 30.0
"""After a connection that lasted this long the next wait is short again; a flapping one does not
count."""
AWAY_STATUSES: Final = frozenset((502, 503, 504))
"""HTTP statuses with which a web server says that what is behind it is not there. 503 is one:
HAProxy and Apache say so, and our server adds Retry-After when it is full."""

RESTART_CODES: Final = frozenset((SERVICE_RESTART, GOING_AWAY))
"""Close codes of a server that restarts, or that ends what it takes for a dead connection."""
EXPELLED_CODES: Final = frozenset((KICKED, BANNED))
"""Close codes of a server whose operator has ended the connection."""


class Trouble(Enum):
    """What stands between a station and its server."""

    RESTART = "the server has closed the connection, and will accept a new one at once"
    EXPELLED = "the operator has ended the connection"
    AWAY = "the server is not there, or the connection was lost"
    REFUSED = "the server answers, and refuses: somebody must act"


def trouble_of(error: ConnectError) -> Trouble:
    """Return which kind of trouble `error` is."""
    if isinstance(error, ClosedError):
        return _trouble_of_code(error.code)
    if isinstance(error, RefusedError):
        return Trouble.AWAY if error.status in AWAY_STATUSES else Trouble.REFUSED
    lasts = isinstance(error, TlsError | NotSwitchError)
    return Trouble.REFUSED if lasts else Trouble.AWAY


def _trouble_of_code(code: int) -> Trouble:
    if code in RESTART_CODES:
        return Trouble.RESTART
    return Trouble.EXPELLED if code in EXPELLED_CODES else Trouble.AWAY


class Backoff:
    """Counts failed attempts; the time and random numbers are passed in."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns floats from 0 to 1, like random.random."""
        self._random = random
        self._failures = 0
        self._trouble_since_s = 0.0
        self._connected_at_s: float | None = None
        self.is_told = False
        """Whether the last wait is one that the server has asked for."""

    def connected(self, now: float) -> None:
        """Note that a connection began at `now`, in seconds of any monotonic clock."""
        self._connected_at_s = now

    def next_delay_s(self, now: float, error: ConnectError) -> float:
        """Return the seconds to wait after `error`, a failure or a loss at `now`.

        The wait is from half its ceiling to all of it, the first one from FLOOR_S. So the stations
        of a restarted server do not all come back at once. If the server has said when to come
        back (Retry-After, RFC 9110 10.2.3), or its operator has ended the connection, the wait is
        not less than that, within MAX_RETRY_AFTER_S. After a change of this machine's network there
        is none, and what was before is forgotten.
        """
        if isinstance(error, NetworkChangedError):
            self._failures, self.is_told = 0, False
            return 0.0
        since, self._connected_at_s = self._connected_at_s, None
        if since is not None and now - since >= STABLE_AFTER_S:
            self._failures = 0
        if not self._failures:
            self._trouble_since_s = now
        trouble, told_s = trouble_of(error), self._told_s(error)
        delay_s = self._drawn_s(trouble, self._cap_s(now, trouble))
        self._failures += 1
        self.is_told = told_s is not None
        if told_s is None:
            return delay_s
        told_s = min(told_s, MAX_RETRY_AFTER_S) * (1 + RETRY_SPREAD * self._random())
        return max(delay_s, told_s)

    def _told_s(self, error: ConnectError) -> float | None:
        """Return for how long the server wants the station to stay away, None if it has not."""
        if trouble_of(error) is Trouble.EXPELLED:
            return self._grown_s(EXPELLED_S, MAX_RETRY_AFTER_S)
        return error.retry_after_s if isinstance(error, RefusedError) else None

    def _drawn_s(self, trouble: Trouble, cap_s: float) -> float:
        """Return a wait at random, of the length that so many failures call for."""
        if not self._failures:
            ceiling_s = RESTART_SPREAD_S if trouble is Trouble.RESTART else BASE_S
            return FLOOR_S + (ceiling_s - FLOOR_S) * self._random()
        ceiling_s = self._grown_s(BASE_S, cap_s)
        return ceiling_s / 2 * (1 + self._random())

    def _cap_s(self, now: float, trouble: Trouble) -> float:
        if trouble is Trouble.REFUSED:
            return REFUSED_CAP_S
        return AWAY_CAP_S if now - self._trouble_since_s < LONG_AWAY_S else CAP_S

    def _grown_s(self, base_s: float, cap_s: float) -> float:
        """Return `base_s`, grown by FACTOR for each failure, up to `cap_s`."""
        grown_s = base_s
        for _ in range(self._failures):
            grown_s *= FACTOR
            if grown_s >= cap_s:
                return cap_s
        return grown_s
