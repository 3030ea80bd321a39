"""A kqueue for Linux: filters on real descriptors, answered by epoll, with kevent(2)'s rules."""

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
_EPOLL = select.epoll
"""The set that stands for the kernel's; a test may take epoll away from everybody else."""


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
        self._kernel = _EPOLL()

    def fileno(self) -> int:
        """Return a descriptor that is readable while an event is there."""
        return self._kernel.fileno()

    def control(
        self, changes: Sequence[Kevent] | None, max_events: int, timeout: float | None = None
    ) -> list[Kevent]:
        """Change the filters, then return events. Raises OSError as kevent(2) does."""
        for change in changes or ():
            self._change((change.ident, change.filter), change.flags)
        return self._events(timeout)[:max_events] if max_events else []

    def close(self) -> None:
        """Close it."""
        self.is_closed = True
        self._kernel.close()

    def _change(self, key: tuple[int, int], flags: int) -> None:
        before = self._bits(key[0])
        if flags == ADD:
            self.filters.add(key)
        elif key in self.filters:
            assert flags == DELETE
            self.filters.remove(key)
        else:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        bits = self._bits(key[0])
        if not before:
            self._kernel.register(key[0], bits)
        elif not bits:
            self._kernel.unregister(key[0])
        else:
            self._kernel.modify(key[0], bits)

    def _bits(self, fd: int) -> int:
        return sum(_BITS[kind] for at, kind in self.filters if at == fd)

    def _events(self, timeout_s: float | None) -> list[Kevent]:
        found = dict(self._kernel.poll(timeout_s))
        return [
            FakeKevent(fd, kind, EOF if found[fd] & select.POLLHUP else 0)
            for fd, kind in sorted(self.filters)
            if found.get(fd, 0) & (_BITS[kind] | select.POLLHUP)
        ]
