"""Reads and writes on a stream before it becomes a WebSocket; each wait ends in time."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpnws.client.carry.stream import Stream
    from vpnws.client.waiting import Waiter


def read(stream: Stream, buffer: memoryview, waiter: Waiter, until_s: float) -> int:
    """Read the next bytes into `buffer`; return how many there are, 0 at the end.

    Raises TimeoutError at `until_s` on the clock, also if bytes come without an end, OSError
    (ssl.SSLError among them), Stopped.
    """
    if waiter.now() >= until_s:
        raise TimeoutError("no end in time")
    while (count := stream.read_into(buffer)) is None:
        waiter.wait(stream.fd, select.POLLIN, until_s)
    return count


def write(stream: Stream, data: bytes, waiter: Waiter, until_s: float) -> None:
    """Write all of `data`. Raises as `read` does."""
    stream.write(data)
    stream.flush()
    while stream.has_unsent:
        waiter.wait(stream.fd, select.POLLOUT, until_s)
        stream.flush()
