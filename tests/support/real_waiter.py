"""A waiter of the client on the real clock, for tests that connect for real."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from vpnws.client.waiting import StopRequest, Waiter

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def real_waiter() -> Iterator[Waiter]:
    """Yield a waiter that nobody stops; close it and its stop request at the end."""
    with closing(StopRequest()) as stop, closing(Waiter(stop, time.monotonic)) as waiter:
        yield waiter
