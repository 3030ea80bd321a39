"""Threads that work as long as a `with` block lasts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Crew:
    """Runs each of its jobs in a thread; they look at `stop` and end when it is set."""

    def __init__(self, *jobs: Callable[[], object]) -> None:
        """Begin nothing before the `with` block is entered."""
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=job) for job in jobs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
