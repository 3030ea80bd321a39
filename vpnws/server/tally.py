"""What one process counts about itself: who comes and goes, what it refuses, its loop's lag."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.control.views import RECENT_S, RETURN_S
from vpnws.server.peers.departures import Departures
from vpnws.switch.guard.claims import ANONYMOUS

if TYPE_CHECKING:
    from vpnws.server.peers.shared_page import SharedPage
    from vpnws.server.web.identity import Identity

MAX_LAGS: Final = 16
"""Ticks whose lag is kept; a further one puts the oldest out. There is a tick each second, and only
those of the last RECENT_S count."""


class Lives(NamedTuple):
    """What all processes know of those that have been at one slot."""

    starts: int
    kills: int
    """How many of them the watchdog killed."""
    beats: int
    """How often the last one has beaten."""


class LoopLag:
    """How late a process's loop has been lately."""

    __slots__ = ("_due_s", "_lags", "_period_s")

    def __init__(self, period_s: float, now: float) -> None:
        """The loop's tick is due every `period_s`, for the first time one period from `now`."""
        self._period_s = period_s
        self._due_s = now + period_s
        self._lags: deque[tuple[float, float]] = deque(maxlen=MAX_LAGS)

    def tick(self, now: float) -> float:
        """Note a tick at `now`; return by how many seconds it was late."""
        lag_s = max(0.0, now - self._due_s)
        self._due_s = now + self._period_s
        self._lags.append((now, lag_s))
        return lag_s

    def worst_s(self, now: float) -> float:
        """Return the longest lag within the last RECENT_S, that of a tick due by now included."""
        lags_s = [lag_s for at_s, lag_s in self._lags if now - at_s < RECENT_S]
        return max(0.0, now - self._due_s, *lags_s)


class Tally:
    """Counts of one process that only grow, and its lag."""

    __slots__ = ("_departures", "_page", "_slot", "joins", "lag", "leaves", "refusals", "returns")

    def __init__(self, page: SharedPage, slot: int, period_s: float, now: float) -> None:
        """Begin to count for the process at `slot`, whose loop ticks every `period_s`."""
        self._page = page
        self._slot = slot
        self._departures = Departures(page, slot)
        self.lag = LoopLag(period_s, now)
        self.joins = 0
        self.returns = 0
        """Joins of those who had left any process within RETURN_S. A process that is killed does
        not note who leaves, so its stations are not among them."""
        self.leaves = 0
        self.refusals: Counter[str] = Counter()
        """Requests that did not become a port, by the number of their status."""

    def join(self, who: Identity, now: float) -> None:
        """Count a station that comes at `now`."""
        self.joins += 1
        self.returns += now - self._departures.left_s(_name_of(who)) < RETURN_S

    def leave(self, who: Identity, now: float) -> None:
        """Count a station that goes at `now`."""
        self.leaves += 1
        self._departures.note(_name_of(who), now)

    def refuse(self, status: str) -> None:
        """Count a request that was answered with `status`, such as `403 Forbidden`."""
        self.refusals[status[:3]] += 1

    def lives(self) -> Lives:
        """Return how often a process has begun at this slot, and was killed."""
        return Lives(*self._page.lives(self._slot), self._page.pulses()[self._slot][1])


def _name_of(who: Identity) -> bytes:
    """Return what makes a station the same one when it comes again: its name, or its address."""
    claim = who.claim()
    return claim if claim != ANONYMOUS else who.remote_addr.encode(errors="surrogateescape")
