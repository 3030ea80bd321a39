"""Who has left lately, known to all processes: a station may come back to another one."""

from __future__ import annotations

from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.server.peers.shared_page import DEPARTURE, MAX_DEPARTURES

if TYPE_CHECKING:
    from vpnws.server.peers.shared_page import SharedPage

_DIGEST_BYTES: Final = 8


class Departures:
    """The stations that have left, as one process notes them and sees those of all processes.

    Each process writes its own part of the shared memory, in a ring. A reader may see an entry that
    is half written: then a station that came back counts as new, which does no harm.
    """

    def __init__(self, page: SharedPage, slot: int) -> None:
        """`slot` is the caller's own."""
        self._memory = page.departures
        self._secret = page.secret
        self._begin = slot * MAX_DEPARTURES
        self._next = 0

    def note(self, name: bytes, now: float) -> None:
        """Note that the station `name` leaves at `now`, on the clock of the machine."""
        at = (self._begin + self._next) * DEPARTURE.size
        DEPARTURE.pack_into(self._memory, at, self._digest(name), now)
        self._next = (self._next + 1) % MAX_DEPARTURES

    def left_s(self, name: bytes) -> float:
        """Return when `name` last left any process; -inf if that is not known."""
        digest, data = self._digest(name), self._memory.tobytes()
        latest_s, at = -inf, data.find(digest)
        while at >= 0:
            if at % DEPARTURE.size == 0:
                latest_s = max(latest_s, DEPARTURE.unpack_from(data, at)[1])
            at = data.find(digest, at + 1)
        return latest_s

    def _digest(self, name: bytes) -> bytes:
        # With the secret: nobody can choose a name whose digest is that of another, or of bytes
        # that occur in times.
        return blake2b(name, digest_size=_DIGEST_BYTES, key=self._secret).digest()
