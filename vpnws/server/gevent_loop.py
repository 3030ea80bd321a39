"""The loop that uWSGI runs, gevent's: the one module that imports gevent."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import gevent
import gevent.socket
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Signal, Watcher

_READ = 1
_WRITE = 2
_for_good: list[Watcher] = []
"""Watchers that are never closed; gevent would close one that nothing refers to."""


class GeventLoop:
    """A `Loop`. It asks gevent for the loop of the current process, so a fork may follow."""

    now = staticmethod(time.monotonic)
    unix_s = staticmethod(time.time)

    def make_signal(self) -> Signal:
        """Return a signal that is not set."""
        return Event()

    def on_readable(self, fd: int, callback: Callable[[], None]) -> Watcher:
        """Call `callback` whenever `fd` can be read."""
        return _watch(get_hub().loop.io(fd, _READ), callback)

    def on_writable(self, fd: int, callback: Callable[[], None]) -> Watcher:
        """Call `callback` whenever `fd` can be written."""
        return _watch(get_hub().loop.io(fd, _WRITE), callback)

    def every(self, period_s: float, callback: Callable[[], None]) -> Watcher:
        """Call `callback` every `period_s` seconds; it does not keep the loop alive."""
        return _watch(get_hub().loop.timer(period_s, period_s, ref=False), callback)

    def after(self, delay_s: float, callback: Callable[[], None]) -> Watcher:
        """Call `callback` once, after `delay_s` seconds; it does not keep the loop alive."""
        return _watch(get_hub().loop.timer(delay_s, ref=False), callback)

    def wait_readable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be read; False if that takes more than `timeout_s`."""
        return _wait(gevent.socket.wait_read, fd, timeout_s)

    def wait_writable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be written; False if that takes more than `timeout_s`."""
        return _wait(gevent.socket.wait_write, fd, timeout_s)

    def let_others_run(self) -> None:
        """Let everything else that is ready have its turn before this greenlet goes on."""
        gevent.sleep(0)

    def on_reload(self, callback: Callable[[], None]) -> Watcher:
        """Call `callback` when SIGHUP asks this process to end for a reload.

        The loop installs a handler for a signal with that signal's first watcher, and uWSGI
        installs its own before the loop runs. Our watcher starts once the loop runs, so that
        uWSGI's is the first.
        """
        watcher = get_hub().loop.signal(signal.SIGHUP, ref=False)
        return self.after(0.0, partial(watcher.start, callback))

    def catch_signals(self) -> Callable[[], int]:
        """Catch SIGINT, SIGTERM and SIGHUP from now on.

        Return a function that waits for the first of them and returns its number. After that they
        are still caught, but do nothing: Ctrl-C comes from the terminal and again from uWSGI's
        master, and the second signal must not interrupt what the caller does at the end.
        """
        caught: AsyncResult[int] = AsyncResult()
        watchers = [
            _watch(get_hub().loop.signal(number), partial(caught.set, number))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        ]
        _for_good.extend(watchers)
        return partial(_first_signal, caught)

    def in_main_greenlet(self) -> bool:
        """Return whether this code runs outside every request and every callback of the loop."""
        current = gevent.getcurrent()
        return current.parent is None


def _first_signal(caught: AsyncResult[int]) -> int:
    return caught.get() or signal.SIGTERM


def _wait(wait: Callable[..., None], fd: int, timeout_s: float) -> bool:
    try:
        wait(fd, timeout=timeout_s)
    except TimeoutError:
        return False
    return True


def _watch(watcher: Watcher, callback: Callable[[], None]) -> Watcher:
    watcher.start(callback)  # type: ignore[attr-defined]
    return watcher
