"""All waits of the client outside the pump: a signal ends each of them at once.

What is aside (vpnws.client.aside) is served meanwhile.
"""

from __future__ import annotations

import select
import signal
import socket
from math import ceil, inf
from typing import TYPE_CHECKING, Final, Self

from vpnws.client.aside import Aside

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - being told to stop is not an error
    """The program was told to stop: it cleans up and ends."""


class StopRequest:
    """A file descriptor that becomes readable, and stays so, when SIGINT or SIGTERM arrives."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self.fd = self._reader.fileno()
        self.reason = "request"

    def __enter__(self) -> Self:
        self._old_wakeup_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = [signal.signal(number, self._note) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(SIGNALS, self._old_handlers, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup_fd)
        self.close()

    def request(self) -> None:
        """Ask to stop, without a signal."""
        self._writer.send(b"\0")

    def close(self) -> None:
        """Close the descriptors."""
        self._reader.close()
        self._writer.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # The interpreter itself writes to the wake-up descriptor.
        self.reason = signal.Signals(number).name


class Waiter:
    """Waits for a descriptor or for a time; a request to stop ends the wait."""

    def __init__(self, stop: StopRequest, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self.stop = stop
        self.now = clock
        self.aside = Aside()
        self.before_connect: Callable[[str], None] = _do_nothing
        """Called with each IP address, as text, before a connection to it is attempted: it sees to
        it that the way there does not lead through the VPN itself."""

    def wait(self, fd: int, events: int, until_s: float) -> None:
        """Return when `fd` is ready for `events` (of select.poll).

        Raises TimeoutError at `until_s` on the clock, Stopped when told to stop, and what those
        raise who are served aside.
        """
        if not self._poll(until_s, {fd: events}):
            raise TimeoutError("no answer in time")

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds. Raises as `wait` does, but no TimeoutError."""
        self._poll(self.now() + duration_s, {})

    def close(self) -> None:
        """Close what is aside; the stop request is the caller's."""
        self.aside.close()

    def _poll(self, until_s: float, awaited: dict[int, int]) -> bool:
        """Wait; return True when one of `awaited` became ready, False when the time was up."""
        poller = select.poll()
        for fd, events in {
            self.stop.fd: select.POLLIN,
            self.aside.fd: select.POLLIN,
            **awaited,
        }.items():
            poller.register(fd, events)
        while True:
            now = self.now()
            next_s = min(until_s, self.aside.next_at_s())
            ready = {fd for fd, _ in poller.poll(_milliseconds(next_s - now))}
            if self.stop.fd in ready:
                raise Stopped
            now = self.now()
            if self.aside.fd in ready or self.aside.next_at_s() <= now:
                self.aside.serve(now)
            if not ready.isdisjoint(awaited):
                return True
            if now >= until_s:
                return False


def _do_nothing(_address: str) -> None:
    """Nothing has to be done before a connection to an address."""


def _milliseconds(duration_s: float) -> float | None:
    """Return a timeout for select.poll, None for ever. It rounds up, so that nothing spins."""
    return None if duration_s == inf else ceil(max(0.0, duration_s) * 1000)
