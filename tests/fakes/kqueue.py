"""A kqueue for Linux: filters on real descriptors, answered by poll(2), with kevent(2)'s rules."""

from __future__ import annotations

import errno
import os
import select
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.poller import Kevent

READ, WRITE = -1, -2
ADD, DELETE = 0x1, 0x2
EOF = 0x8000
_BITS = {READ: select.POLLIN, WRITE: select.POLLOUT}


@dataclass
class FakeKevent:
    """A change or an event."""

    ident: int
    filter: int
    flags: int


class FakeKqueue:
    """One set of filters. Each filter that is ready gives an event of its own."""

    def __init__(self) -> None:
        self.filters: set[tuple[int, int]] = set()
        self.is_closed = False

    def fileno(self) -> int:
        """Return no descriptor: only the real one has it."""
        return -1

    def control(
        self, changes: Sequence[Kevent] | None, max_events: int, timeout: float | None = None
    ) -> list[Kevent]:
        """Change the filters, then return events. Raises OSError as kevent(2) does."""
        for change in changes or ():
            self._change((change.ident, change.filter), change.flags)
        if not max_events:
            return []
        return self._events(None if timeout is None else timeout * 1000)[:max_events]

    def close(self) -> None:
        """Close it."""
        self.is_closed = True

    def _change(self, key: tuple[int, int], flags: int) -> None:
        if flags == ADD:
            self.filters.add(key)
        elif key in self.filters:
            assert flags == DELETE
            self.filters.remove(key)
        else:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _events(self, timeout_ms: float | None) -> list[Kevent]:
        poller = select.poll()
        for fd in {fd for fd, _ in self.filters}:
            poller.register(fd, sum(_BITS[kind] for at, kind in self.filters if at == fd))
        found = dict(poller.poll(timeout_ms))
        return [
            FakeKevent(fd, kind, EOF if found[fd] & select.POLLHUP else 0)
            for fd, kind in sorted(self.filters)
            if found.get(fd, 0) & (_BITS[kind] | select.POLLHUP)
        ]
