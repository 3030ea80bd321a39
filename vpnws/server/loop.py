"""What the server asks of its event loop and its clock, so that a test can pass in its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Watcher(Protocol):
    """Something the loop watches for; close it before its descriptor."""

    def stop(self) -> None:
        """Stop watching."""

    def close(self) -> None:
        """Stop watching for good."""


class Signal(Protocol):
    """Something that one part of a process waits for, and another part does."""

    def set(self) -> None:
        """Wake all who wait; who waits later need not."""

    def wait(self, timeout: float) -> bool:
        """Let others run until it is set; False if that takes more than `timeout` seconds."""


class Loop(Protocol):
    """The event loop of one process, with its clock."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def unix_s(self) -> float:
        """Return the time of day, in seconds since 1970: for people, never to measure with."""

    def make_signal(self) -> Signal:
        """Return a signal that is not set."""

    def on_readable(self, fd: int, callback: Callable[[], None]) -> Watcher:
        """Call `callback` whenever `fd` can be read."""

    def on_writable(self, fd: int, callback: Callable[[], None]) -> Watcher:
        """Call `callback` whenever `fd` can be written."""

    def every(self, period_s: float, callback: Callable[[], None]) -> Watcher:
        """Call `callback` every `period_s` seconds; it does not keep the loop alive."""

    def after(self, delay_s: float, callback: Callable[[], None]) -> Watcher:
        """Call `callback` once, after `delay_s` seconds; it does not keep the loop alive."""

    def wait_readable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be read; False if that takes more than `timeout_s`."""

    def wait_writable(self, fd: int, timeout_s: float) -> bool:
        """Let others run until `fd` can be written; False if that takes more than `timeout_s`."""

    def let_others_run(self) -> None:
        """Let everything else that is ready have its turn before the caller goes on."""

    def on_reload(self, callback: Callable[[], None]) -> Watcher:
        """Call `callback` when uWSGI asks this process to end for a reload (SIGHUP)."""

    def catch_signals(self) -> Callable[[], int]:
        """Catch SIGINT, SIGTERM and SIGHUP from now on.

        Return a function that waits for the first of them and returns its number.
        """

    def in_main_greenlet(self) -> bool:
        """Return whether this code runs outside every request and every callback of the loop."""
