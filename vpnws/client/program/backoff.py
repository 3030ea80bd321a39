"""How long to wait before the next attempt to connect, by what went wrong; with jitter.

Three kinds of trouble. A server that is away will be back, most likely soon, and asking costs it
little: the waits stay short for the first minutes. One that says when to come back is obeyed. One
that refuses for good is asked less and less often, since somebody must act first.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConnectError, NetworkChangedError, RefusedError, TlsError

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_S: Final = 0.5
"""The longest wait after the first failure; each further failure doubles it, up to a cap."""
FACTOR: Final = 2.0
FLOOR_S: Final = 0.1
"""The shortest wait between two attempts: an immediate attempt would help nobody."""
AWAY_CAP_S: Final = 5.0
"""The longest wait while the server is away, for the first LONG_AWAY_S. So all stations are back
within about this time after the server."""
LONG_AWAY_S: Final = 120.0
"""A server that has been away for longer is asked less often, up to CAP_S."""
CAP_S: Final = 30.0
"""The longest wait for a server that has been away for long."""
REFUSED_CAP_S: Final = 60.0
"""The longest wait for a server that refuses for good."""
MAX_RETRY_AFTER_S: Final = 300.0
"""A server that says to come back later than this is asked again after this time."""
RETRY_SPREAD: Final = 0.5
"""A station comes up to this share of the time later than it was told. So stations that were told
the same do not come at once."""
STABLE_AFTER_S: Final = 30.0
"""After a connection that lasted this long the next wait is short again; a flapping one does not
count."""
AWAY_STATUSES: Final = frozenset((502, 503, 504))
"""HTTP statuses with which a web server says that what is behind it is not there. 503 is one:
HAProxy and Apache say so, and our server adds Retry-After when it is full."""


class Trouble(Enum):
    """What stands between a station and its server."""

    AWAY = "the server is not there, or the connection was lost"
    REFUSED = "the server answers, and refuses: somebody must act"


def trouble_of(error: ConnectError) -> Trouble:
    """Return which kind of trouble `error` is."""
    if isinstance(error, RefusedError):
        return Trouble.AWAY if error.status in AWAY_STATUSES else Trouble.REFUSED
    return Trouble.REFUSED if isinstance(error, TlsError) else Trouble.AWAY


class Backoff:
    """Counts failed attempts; the time and random numbers are passed in."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns floats from 0 to 1, like random.random."""
        self._random = random
        self._failures = 0
        self._trouble_since_s = 0.0
        self._connected_at_s: float | None = None

    def connected(self, now: float) -> None:
        """Note that a connection began at `now`, in seconds of any monotonic clock."""
        self._connected_at_s = now

    def next_delay_s(self, now: float, error: ConnectError) -> float:
        """Return the seconds to wait after `error`, a failure or a loss at `now`.

        The wait is from half its ceiling to all of it, the first one from FLOOR_S. So the stations
        of a restarted server do not all come back at once. If the server has said when to come
        back (Retry-After, RFC 9110 10.2.3), it is not less than that, within MAX_RETRY_AFTER_S.
        After a change of this machine's network there is none, and what was before is forgotten.
        """
        if isinstance(error, NetworkChangedError):
            self._failures = 0
            return 0.0
        since, self._connected_at_s = self._connected_at_s, None
        if since is not None and now - since >= STABLE_AFTER_S:
            self._failures = 0
        if not self._failures:
            self._trouble_since_s = now
        ceiling_s = self._ceiling_s(self._cap_s(now, error))
        floor_s = ceiling_s / 2 if self._failures else FLOOR_S
        self._failures += 1
        delay_s = floor_s + (ceiling_s - floor_s) * self._random()
        told_s = error.retry_after_s if isinstance(error, RefusedError) else None
        if told_s is None:
            return delay_s
        told_s = min(told_s, MAX_RETRY_AFTER_S) * (1 + RETRY_SPREAD * self._random())
        return max(delay_s, told_s)

    def _cap_s(self, now: float, error: ConnectError) -> float:
        if trouble_of(error) is Trouble.REFUSED:
            return REFUSED_CAP_S
        return AWAY_CAP_S if now - self._trouble_since_s < LONG_AWAY_S else CAP_S

    def _ceiling_s(self, cap_s: float) -> float:
        ceiling = BASE_S
        for _ in range(self._failures):
            ceiling *= FACTOR
            if ceiling >= cap_s:
                return cap_s
        return ceiling
