"""What the client does beside carrying frames: descriptors and alarms, served in every wait.

Theory of operation. Whoever waits (the pump, a connection attempt, the sleep between two of them)
also waits for `Aside.fd`, a poller of all descriptors here, and until `next_at_s`; then it
calls `serve`. So something that concerns the whole life of a station, such as a change of the
machine's network, is served at once whatever the station does at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from vpnws.poller import READ, make_poller

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(order=True, slots=True)
class Alarm:
    """A call that is due at a time."""

    at_s: float
    _number: int
    _ring: Callable[[float], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Do not call; after the call this does nothing."""
        self._ring = None

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing will be called."""
        return self._ring is None

    def ring(self, now: float) -> None:
        """Call once."""
        call, self._ring = self._ring, None
        if call is not None:
            call(now)


class Aside:
    """Descriptors and alarms, and what to call for each.

    What is called must be quick, since frames wait meanwhile. An error that it raises goes to
    whoever waits: NetworkChangedError has the station connect anew at once, Stopped and any other
    VpnwsError end the program.
    """

    def __init__(self) -> None:
        self._poller = make_poller()
        self.fd = self._poller.fileno()
        """Readable when `serve` has something to do."""
        self._watched: dict[int, Callable[[], None]] = {}
        self._alarms: list[Alarm] = []
        self._made = 0
        self.has_doubt = False
        """Whether somebody suspects that the connection is dead. Who carries frames then asks the
        server at once, and takes this back."""

    def watch(self, fd: int, serve: Callable[[], None]) -> None:
        """Call `serve` whenever `fd` is readable or was hung up, until `unwatch`."""
        self._poller.register(fd, READ)
        self._watched[fd] = serve

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, before it is closed; one that is not watched is none."""
        if self._watched.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def alarm(self, at_s: float, ring: Callable[[float], None]) -> Alarm:
        """Call `ring` with the time once the clock has reached `at_s`, in monotonic seconds."""
        self._made += 1
        made = Alarm(at_s, self._made, ring)
        heappush(self._alarms, made)
        return made

    def next_at_s(self) -> float:
        """Return when the next alarm is due; infinity if there is none."""
        alarms = self._alarms
        while alarms and alarms[0].is_cancelled:
            heappop(alarms)
        return alarms[0].at_s if alarms else inf

    def serve(self, now: float) -> None:
        """Call what is ready and due at `now`. Raises what they raise; the rest waits for the next
        call.
        """
        while self.next_at_s() <= now:
            heappop(self._alarms).ring(now)
        for fd, _ in self._poller.poll(0):
            # One that was called before it may have ended this one.
            if (call := self._watched.get(fd)) is not None:
                call()

    def close(self) -> None:
        """Close the set; what it watched stays open."""
        self._poller.close()
