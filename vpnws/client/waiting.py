"""All waits of the client outside the pump: a signal ends each of them at once."""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING, Final, Self

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

    def wait(self, fd: int, events: int, until_s: float) -> None:
        """Return when `fd` is ready for `events` (of select.poll).

        Raises TimeoutError at `until_s` on the clock, Stopped when told to stop.
        """
        if not self._poll(until_s, fd, events):
            raise TimeoutError("no answer in time")

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds. Raises Stopped when told to stop."""
        self._poll(self.now() + duration_s)

    def _poll(self, until_s: float, fd: int | None = None, events: int = 0) -> bool:
        """Wait; return True when `fd` became ready, False when the time was up."""
        poller = select.poll()
        poller.register(self.stop.fd, select.POLLIN)
        if fd is not None:
            poller.register(fd, events)
        ready = poller.poll(max(0.0, until_s - self.now()) * 1000)
        if any(ready_fd == self.stop.fd for ready_fd, _ in ready):
            raise Stopped
        return bool(ready)
