"""Does what takes long in threads, and tells the loop when it is done."""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Loop

T = TypeVar("T")


class Background(Protocol):
    """Where a job may take long, so that a test can pass in its own."""

    def run(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run `job`, which raises nothing; then call `done` in the loop with its result."""


class Threads:
    """A `Background` with one thread for each job. Whoever runs jobs bounds how many there are.

    Only this process has threads, and the loop does not wait for any.
    """

    def __init__(self, loop: Loop) -> None:
        """Have `loop` call what is to be done after each job."""
        self._ended: deque[Callable[[], None]] = deque()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watcher = loop.on_readable(self._reader, self._wake)

    def run(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run `job` in a thread; then call `done` in the loop with its result."""
        threading.Thread(target=self._run, args=(job, done), daemon=True).start()

    def _run(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        # Both are safe from any thread. A full pipe wakes the loop as well as one byte more.
        self._ended.append(partial(done, job()))
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return

    def _wake(self) -> None:
        os.read(self._reader, 4096)
        while self._ended:
            self._ended.popleft()()
