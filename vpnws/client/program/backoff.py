"""How long to wait before the next attempt to connect: doubled each time, capped, with jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_S: Final = 0.5
"""The longest wait after the first failure; each further failure doubles it."""
FACTOR: Final = 2.0
CAP_S: Final = 30.0
"""The longest wait between two attempts."""
FLOOR_S: Final = 0.1
"""The shortest wait between two attempts: an immediate attempt would help nobody."""
STABLE_AFTER_S: Final = 30.0
"""After a connection that lasted this long the next wait is short again; a flapping one does not
count."""


class Backoff:
    """Counts failed attempts; the time and random numbers are passed in."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns floats from 0 to 1, like random.random."""
        self._random = random
        self._failures = 0
        self._connected_at_s: float | None = None

    def connected(self, now: float) -> None:
        """Note that a connection began at `now`, in seconds of any monotonic clock."""
        self._connected_at_s = now

    def next_delay_s(self, now: float) -> float:
        """Return the seconds to wait, from FLOOR_S to CAP_S, after a failure or loss at `now`.

        The whole range is used ("full jitter"), so that the stations of a restarted server do
        not all come back at once.
        """
        since, self._connected_at_s = self._connected_at_s, None
        if since is not None and now - since >= STABLE_AFTER_S:
            self._failures = 0
        ceiling = self._ceiling_s()
        self._failures += 1
        return FLOOR_S + (ceiling - FLOOR_S) * self._random()

    def _ceiling_s(self) -> float:
        ceiling = BASE_S
        for _ in range(self._failures):
            ceiling *= FACTOR
            if ceiling >= CAP_S:
                return CAP_S
        return ceiling
