"""Waits for many descriptors at once: epoll where there is one, kqueue on FreeBSD and macOS."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

READ: Final = select.POLLIN
WRITE: Final = select.POLLOUT
"""What to wait for. The bits are those of select.poll, and of epoll (poll(2))."""
FAILED: Final = select.POLLERR | select.POLLHUP
"""What is reported besides: the descriptor failed, or its other end is gone."""
_FILTERS: Final = (
    (READ, getattr(select, "KQ_FILTER_READ", -1)),
    (WRITE, getattr(select, "KQ_FILTER_WRITE", -2)),
)
_ADD: Final = 0x0001
_DELETE: Final = 0x0002
_ERROR: Final = 0x4000
_EOF: Final = 0x8000
"""Flags of kevent(2), the same on all BSDs."""


class Poller(Protocol):
    """A set of descriptors; the methods are those of select.epoll, level-triggered."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while one in the set is ready."""

    def register(self, fd: int, eventmask: int) -> None:
        """Watch `fd` for READ, WRITE, both, or with 0 for neither."""

    def modify(self, fd: int, eventmask: int) -> None:
        """Watch `fd`, which is in the set, for something else."""

    def unregister(self, fd: int) -> None:
        """Watch `fd` no more."""

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Return which descriptors are ready, and for what, at most `maxevents` if not -1.

        Wait for at most `timeout` seconds; None or a negative number is for ever. With epoll, what
        FAILED is reported of every descriptor in the set; with kqueue, of those that are watched
        for READ or WRITE.
        """

    def close(self) -> None:
        """Close the set."""

    def __enter__(self) -> Self:
        """Return the set, which is closed at the end of the `with` block."""

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None:
        """Close the set."""


class Kevent(Protocol):
    """A change or an event of a kqueue (kevent(2))."""

    ident: int
    filter: int
    flags: int


class Kqueue(Protocol):
    """What the kernel offers there; select.kqueue has it."""

    def fileno(self) -> int:
        """Return the kqueue's own descriptor."""

    def control(
        self, changes: Sequence[Kevent] | None, max_events: int, timeout: float | None = None
    ) -> list[Kevent]:
        """Make the changes; return the events, at most `max_events`."""

    def close(self) -> None:
        """Close it."""


class KqueuePoller:
    """A Poller by kqueue(2). It has been run with a stand-in for the kernel only."""

    def __init__(self, kqueue: Kqueue, make: Callable[[int, int, int], Kevent]) -> None:
        """Take over `kqueue`; `make` builds a change of a descriptor, a filter and flags."""
        self._kqueue = kqueue
        self._make = make
        self._watched: dict[int, int] = {}
        self.fileno = kqueue.fileno
        self.close = kqueue.close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register(self, fd: int, eventmask: int) -> None:
        """Watch `fd`. Raises FileExistsError if it is watched already, as epoll does."""
        if fd in self._watched:
            raise FileExistsError(f"descriptor {fd} is in the set already")
        self._watched[fd] = 0
        self.modify(fd, eventmask)

    def modify(self, fd: int, eventmask: int) -> None:
        """Watch `fd` for something else. Raises FileNotFoundError if it is not watched."""
        before = self._of(fd)
        changes = [
            self._make(fd, kind, _ADD if eventmask & bit else _DELETE)
            for bit, kind in _FILTERS
            if (before ^ eventmask) & bit
        ]
        if changes:
            self._kqueue.control(changes, 0)
        self._watched[fd] = eventmask

    def unregister(self, fd: int) -> None:
        """Watch `fd` no more. Raises FileNotFoundError if it is not watched."""
        self.modify(fd, 0)
        del self._watched[fd]

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Return what is ready; READ and WRITE of one descriptor come together."""
        count = len(self._watched) if maxevents < 0 else maxevents
        until = None if timeout is None or timeout < 0 else timeout
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, len(_FILTERS) * max(count, 1), until):
            ready[event.ident] = ready.get(event.ident, 0) | _bits(event)
        return list(ready.items())[: max(count, 1)]

    def _of(self, fd: int) -> int:
        if fd not in self._watched:
            raise FileNotFoundError(f"descriptor {fd} is not in the set")
        return self._watched[fd]


def _bits(event: Kevent) -> int:
    """Return what `event` says, as bits of poll(2)."""
    bits = next(bit for bit, kind in _FILTERS if kind == event.filter)
    bits |= select.POLLHUP if event.flags & _EOF else 0
    return bits | (select.POLLERR if event.flags & _ERROR else 0)


def make_poller() -> Poller:
    """Return an empty set of this machine's kind; on Linux that is select.epoll itself."""
    if hasattr(select, "epoll"):
        return select.epoll()
    # The types of kqueue are known on the systems that have it only.
    system = cast("Any", select)
    return KqueuePoller(system.kqueue(), system.kevent)
