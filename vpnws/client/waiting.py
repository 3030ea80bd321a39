"""Where the client sleeps: every wait but the pump's own ends at once when a signal arrives."""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from vpnws.client.carry.stream import Stream

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - being told to stop is no error
    """The program was told to stop: give everything back and leave."""


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
        """Give the descriptors back."""
        self._reader.close()
        self._writer.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # The interpreter itself writes to the wake-up descriptor.
        self.reason = signal.Signals(number).name


class Waiter:
    """Waits for one descriptor or for time to pass, and for the request to stop."""

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

    def read(self, stream: Stream, buffer: memoryview, until_s: float) -> int:
        """Fill `buffer` with what comes next; return its length, 0 at the end.

        Raises TimeoutError, Stopped, and what `Stream.read_into` raises.
        """
        while (count := stream.read_into(buffer)) is None:
            self.wait(stream.fd, select.POLLIN, until_s)
        return count

    def write(self, stream: Stream, data: bytes, until_s: float) -> None:
        """Write all of `data`. Raises TimeoutError, Stopped, and what `Stream.flush` raises."""
        stream.write(data)
        stream.flush()
        while stream.has_unsent:
            self.wait(stream.fd, select.POLLOUT, until_s)
            stream.flush()

    def _poll(self, until_s: float, fd: int | None = None, events: int = 0) -> bool:
        """Wait; return whether `fd` became ready rather than the time being up."""
        poller = select.poll()
        poller.register(self.stop.fd, select.POLLIN)
        if fd is not None:
            poller.register(fd, events)
        ready = poller.poll(max(0.0, until_s - self.now()) * 1000)
        if any(ready_fd == self.stop.fd for ready_fd, _ in ready):
            raise Stopped
        return bool(ready)
