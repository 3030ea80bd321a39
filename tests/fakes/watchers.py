"""The manual loop's watchers, and what the loops of several processes have in common."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FIRST_FAKE_FD: Final = 1 << 20
"""Descriptors from this number on are not real: the loop asks their `FakeDescriptor`."""


class WatcherError(AssertionError):
    """A watcher was used in a way that a real loop punishes, or punishes only sometimes."""


class FakeDescriptor(Protocol):
    """What the loop asks about a descriptor that the kernel does not know."""

    def is_readable(self) -> bool:
        """Return whether a read would not wait."""

    def is_writable(self) -> bool:
        """Return whether a write would not wait."""


class Owner(Protocol):
    """The process that a watcher belongs to."""

    is_paused: bool

    def call(self, callback: Callable[[], object]) -> None:
        """Run `callback` as this process does."""


@dataclass(eq=False)
class ManualWatcher:
    """A watcher of a descriptor, a timer or a signal; `owner` is the loop it belongs to."""

    world: World
    owner: Owner
    what: str
    callback: Callable[[], None]
    number: int
    fd: int = -1
    for_writing: bool = False
    due_s: float | None = None
    period_s: float | None = None
    identity: tuple[int, int] | None = None
    """Device and inode of a real descriptor: they change when its number is used again."""
    is_active: bool = True
    is_closed: bool = False

    def stop(self) -> None:
        """Stop watching; may be repeated."""
        if self.is_closed:
            raise WatcherError(f"{self.what} is stopped after it was closed")
        self.is_active = False

    def close(self) -> None:
        """Stop watching for good; only once."""
        if self.is_closed:
            raise WatcherError(f"{self.what} is closed twice")
        self.is_active = False
        self.is_closed = True
        self.world.forget(self)


@dataclass
class World:
    """What the loops of several processes have in common: the clock and the order of events."""

    now_s: float = 1000.0
    set_ahead_s: float = 0.0
    """By how much somebody has set the time of day."""
    shuffler: random.Random | None = None
    """If there is one, it chooses the order of what is ready at the same time."""
    watchers: list[ManualWatcher] = field(default_factory=list)
    fakes: dict[int, FakeDescriptor] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    fake_fds: itertools.count[int] = field(default_factory=lambda: itertools.count(FIRST_FAKE_FD))

    def forget(self, watcher: ManualWatcher) -> None:
        """Take a watcher off the list, if it is on it."""
        if watcher in self.watchers:
            self.watchers.remove(watcher)
