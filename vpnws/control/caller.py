"""Whoever sent a request, while a stream answers it."""

from __future__ import annotations

from typing import Protocol


class Caller(Protocol):
    """The other end of one request's connection. Close it when the stream is over."""

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended: nobody reads what follows."""

    @property
    def must_end(self) -> bool:
        """Whether the server stops or reloads: the stream has to end now, in order."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def wait(self, timeout_s: float) -> None:
        """Let others run until `wake` is called, or `is_gone` or `must_end` turns true.

        It takes `timeout_s` at most. Who was woken before the call does not wait.
        """

    def wake(self) -> None:
        """End the wait: there is something to send."""

    def close(self) -> None:
        """Stop watching the connection."""
