"""A loop whose clock the test moves: deterministic, without a wait, strict about watchers."""

from __future__ import annotations

import os
import select
from functools import partial
from typing import TYPE_CHECKING, Final

from greenlet import getcurrent, greenlet

from tests.fakes.watchers import FIRST_FAKE_FD, ManualWatcher, WatcherError, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.watchers import FakeDescriptor

START_UNIX_S: Final = 1_790_000_000.0
"""The time of day when the test's clock shows 0."""
MAX_ROUNDS: Final = 10_000
"""A test that needs more rounds without a rest would never end."""


class ManualSignal:
    """A `Signal` for what `spawn` has started."""

    def __init__(self, loop: ManualLoop) -> None:
        self._loop = loop
        self._is_set = False
        self._wakers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Wake all who wait."""
        self._is_set = True
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            self._loop.after(0.0, wake)

    def wait(self, timeout: float) -> bool:
        """Let others run until it is set, or for `timeout` seconds of the test's clock."""
        return self._is_set or self._loop.wait_woken(self._wakers.append, timeout)


class ManualLoop:
    """A `Loop` that does nothing until the test calls `settle` or `advance`.

    `fork` gives another process's loop on the same clock; any of them moves them all.
    """

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self._signals: list[int] | None = None
        self._signal_waiter: greenlet | None = None
        self._in_callback = False
        self.is_paused = False
        """Whether this process is stopped, as by SIGSTOP, while the clock and others go on."""

    # What the code under test calls.

    def now(self) -> float:
        """Return the seconds that the test's clock shows."""
        return self.world.now_s

    def unix_s(self) -> float:
        """Return a time of day that moves with the test's clock."""
        return START_UNIX_S + self.world.now_s + self.world.set_ahead_s

    def make_signal(self) -> ManualSignal:
        """Return a signal that is not set."""
        return ManualSignal(self)

    def on_readable(self, fd: int, callback: Callable[[], None]) -> ManualWatcher:
        """Call `callback` in every round in which `fd` can be read."""
        return self._watch_fd(fd, callback, for_writing=False)

    def on_writable(self, fd: int, callback: Callable[[], None]) -> ManualWatcher:
        """Call `callback` in every round in which `fd` can be written."""
        return self._watch_fd(fd, callback, for_writing=True)

    def every(self, period_s: float, callback: Callable[[], None]) -> ManualWatcher:
        """Call `callback` every `period_s` seconds of the test's clock."""
        due_s = self.now() + period_s
        return self._add(f"a timer of {period_s} s", callback, due_s=due_s, period_s=period_s)

    def after(self, delay_s: float, callback: Callable[[], None]) -> ManualWatcher:
        """Call `callback` once, when the test's clock has moved by `delay_s` seconds."""
        return self._add(f"a timer once in {delay_s} s", callback, due_s=self.now() + delay_s)

    def wait_readable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be read; only in what `spawn` started."""
        return self._wait(self.on_readable, fd, timeout_s)

    def wait_writable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be written; only in what `spawn` started."""
        return self._wait(self.on_writable, fd, timeout_s)

    def let_others_run(self) -> None:
        """Let everything that is ready have its turn; only in what `spawn` started."""
        waiting = self._spawned()
        self.after(0.0, waiting.switch)
        self._switch_away(waiting)

    def on_reload(self, callback: Callable[[], None]) -> ManualWatcher:
        """Call `callback` when the test calls `reload`."""
        return self._add("a reload", callback)

    def catch_signals(self) -> Callable[[], int]:
        """Catch what the test gives to `send_signal` from now on."""
        self._signals = []
        return self._first_signal

    def in_main_greenlet(self) -> bool:
        """Return whether neither a callback nor what `spawn` started is running."""
        return not self._in_callback and getcurrent().parent is None

    # What the test calls.

    def fork(self) -> ManualLoop:
        """Return the loop of another process on the same clock."""
        return ManualLoop(self.world)

    def kill(self) -> None:
        """Forget every watcher of this loop, as the kernel does when a process dies."""
        for watcher in self.open_watchers():
            watcher.close()

    def spawn(self, function: Callable[[], object]) -> greenlet:
        """Run `function` until its first wait; return its greenlet, `dead` once it has ended."""
        spawned = greenlet(function)
        self.call(spawned.switch)
        return spawned

    def call(self, callback: Callable[[], object]) -> None:
        """Run `callback` as this process does: not outside of callbacks."""
        was, self._in_callback = self._in_callback, True
        try:
            callback()
        finally:
            self._in_callback = was

    def settle(self) -> int:
        """Call callbacks until no descriptor is ready and no timer is due; return how many."""
        total = 0
        for _ in range(MAX_ROUNDS):
            count = self._round()
            if not count:
                return total
            total += count
        raise AssertionError(f"no rest after {MAX_ROUNDS} rounds: {self._ready()}")

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, stopping at each timer on the way to let all settle."""
        until_s = self.now() + seconds
        self.settle()
        while (next_s := self._next_due_s()) is not None and next_s <= until_s:
            self.world.now_s = max(self.world.now_s, next_s)
            self.settle()
        self.world.now_s = until_s

    def sleep(self, seconds: float) -> None:
        """Move the clock by `seconds` at once, as if the process had not run in the meantime."""
        self.world.now_s += seconds
        self.settle()

    def reload(self) -> None:
        """Do what SIGHUP does to this process in a reload."""
        for watcher in self.open_watchers():
            if watcher.what == "a reload":
                self.call(watcher.callback)

    def send_signal(self, number: int) -> None:
        """Send this process a signal that it has said it catches."""
        if self._signals is None:
            raise AssertionError("the process does not catch signals")
        self._signals.append(number)
        if self._signal_waiter is not None:
            waiter, self._signal_waiter = self._signal_waiter, None
            self.call(waiter.switch)

    def add_fake(self, descriptor: FakeDescriptor) -> int:
        """Return a number under which `descriptor` can be watched."""
        fd = next(self.world.fake_fds)
        self.world.fakes[fd] = descriptor
        return fd

    def remove_fake(self, fd: int) -> None:
        """Close a fake descriptor; it must not be watched any more."""
        del self.world.fakes[fd]

    def open_watchers(self) -> list[ManualWatcher]:
        """Return this loop's watchers that are not closed, apart from timers that are over."""
        return [watcher for watcher in self.world.watchers if watcher.owner is self]

    def check_no_leak(self) -> None:
        """Raise WatcherError when a watcher of this loop was never closed."""
        if leaked := [watcher.what for watcher in self.open_watchers()]:
            raise WatcherError(f"never closed: {', '.join(leaked)}")

    def _add(
        self,
        what: str,
        callback: Callable[[], None],
        *,
        due_s: float | None = None,
        period_s: float | None = None,
    ) -> ManualWatcher:
        number = next(self.world.numbers)
        watcher = ManualWatcher(
            self.world, self, what, callback, number, due_s=due_s, period_s=period_s
        )
        self.world.watchers.append(watcher)
        return watcher

    def _watch_fd(
        self, fd: int, callback: Callable[[], None], *, for_writing: bool
    ) -> ManualWatcher:
        identity = self._identity(fd)
        if identity is None:
            raise WatcherError(f"descriptor {fd} is not open")
        watcher = self._add(f"{'writing' if for_writing else 'reading'} of {fd}", callback)
        watcher.fd, watcher.for_writing, watcher.identity = fd, for_writing, identity
        return watcher

    def _identity(self, fd: int) -> tuple[int, int] | None:
        if fd >= FIRST_FAKE_FD:
            return (0, fd) if fd in self.world.fakes else None
        try:
            status = os.fstat(fd)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _round(self) -> int:
        """Give everything that is ready now one turn; return how many turns there were."""
        ready = self._ready()
        if self.world.shuffler is not None:
            self.world.shuffler.shuffle(ready)
        count = 0
        for watcher in ready:
            if watcher.is_active:
                count += 1
                self._fire(watcher)
        return count

    def _fire(self, watcher: ManualWatcher) -> None:
        if watcher.period_s is not None:
            watcher.due_s = self.now() + watcher.period_s
        elif watcher.due_s is not None:
            watcher.is_active = False
            self.world.forget(watcher)
        watcher.owner.call(watcher.callback)

    def _ready(self) -> list[ManualWatcher]:
        """Return watchers that are ready: timers in the order they are due, then descriptors."""
        active = self._active()
        due = [w for w in active if w.due_s is not None and w.due_s <= self.now()]
        due.sort(key=lambda watcher: (watcher.due_s, watcher.number))
        return due + self._ready_descriptors([watcher for watcher in active if watcher.fd >= 0])

    def _ready_descriptors(self, watchers: list[ManualWatcher]) -> list[ManualWatcher]:
        poller = select.poll()
        interests: dict[int, int] = {}
        for watcher in watchers:
            if self._identity(watcher.fd) != watcher.identity:
                raise WatcherError(f"the descriptor was closed before its watcher: {watcher.what}")
            if watcher.fd < FIRST_FAKE_FD:
                bits = select.POLLOUT if watcher.for_writing else select.POLLIN
                interests[watcher.fd] = interests.get(watcher.fd, 0) | bits
        for fd, bits in interests.items():
            poller.register(fd, bits)
        events = dict(poller.poll(0)) if interests else {}
        return [watcher for watcher in watchers if self._is_ready(watcher, events)]

    def _is_ready(self, watcher: ManualWatcher, events: dict[int, int]) -> bool:
        if watcher.fd >= FIRST_FAKE_FD:
            fake = self.world.fakes[watcher.fd]
            return fake.is_writable() if watcher.for_writing else fake.is_readable()
        wanted = select.POLLOUT if watcher.for_writing else select.POLLIN
        return bool(events.get(watcher.fd, 0) & (wanted | select.POLLERR | select.POLLHUP))

    def _active(self) -> list[ManualWatcher]:
        return [w for w in self.world.watchers if w.is_active and not w.owner.is_paused]

    def _next_due_s(self) -> float | None:
        dues = [watcher.due_s for watcher in self._active() if watcher.due_s is not None]
        return min(dues, default=None)

    def _spawned(self) -> greenlet:
        current = getcurrent()
        if current.parent is None:
            raise AssertionError("only what `spawn` started may wait")
        return current

    def _switch_away(self, waiting: greenlet) -> None:
        assert waiting.parent is not None
        waiting.parent.switch()

    def _wait(
        self,
        watch: Callable[[int, Callable[[], None]], ManualWatcher],
        fd: int,
        timeout_s: float,
    ) -> bool:
        watchers: list[ManualWatcher] = []
        is_ready = self.wait_woken(lambda wake: watchers.append(watch(fd, wake)), timeout_s)
        watchers[0].close()
        return is_ready

    def wait_woken(
        self, register: Callable[[Callable[[], None]], object], timeout_s: float
    ) -> bool:
        """Wait until what `register` gets is called; False if that takes more than `timeout_s`."""
        waiting = self._spawned()
        is_ready: list[bool] = []

        def wake(by_event: bool) -> None:
            if not is_ready:
                is_ready.append(by_event)
                waiting.switch()

        register(partial(wake, True))
        timer = self.after(timeout_s, partial(wake, False))
        self._switch_away(waiting)
        timer.close()
        return is_ready[0]

    def _first_signal(self) -> int:
        """Wait for the first signal: one that was sent before, or in what `spawn` started."""
        if not self._signals:
            self._signal_waiter = self._spawned()
            self._switch_away(self._signal_waiter)
        assert self._signals
        return self._signals[0]
