"""Waits for something that another process or the kernel does."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_for(
    predicate: Callable[[], T], timeout_s: float, what: str, *, interval_s: float = 0.02
) -> T:
    """Call `predicate` until its result is true, and return that result.

    Asks at least once, and once more at the end. Raises `TimeoutError` that says `what` was
    waited for; what the predicate raises goes through.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() >= deadline
        result = predicate()
        if result:
            return result
        if late:
            raise TimeoutError(f"waited {timeout_s:g} s in vain: {what}")
        time.sleep(interval_s)


def becomes_readable(fd: int, timeout_s: float = 0.0) -> bool:
    """Return whether `fd` is readable in time; unlike select.select, for any number of it."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_s * 1000))
