"""Watches the connection of whoever gets a stream as the answer to a request."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Loop, Signal

DISCARD_BYTES: Final = 4096
"""What a caller sends after its request is read in pieces of this length, and thrown away."""


class WebCaller:
    """A `Caller` behind the web server."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        on_close: Callable[[WebCaller], object],
    ) -> None:
        """Own `connection`, a copy of the request's; `on_close` is called once, at the end."""
        self.is_gone = False
        self.must_end = False
        self.now = loop.now
        self._loop = loop
        self._connection = connection
        self._on_close: Callable[[WebCaller], object] | None = on_close
        self._is_woken = False
        self._signal: Signal | None = None
        self._reader = loop.on_readable(connection.fileno(), self._read)

    def end(self) -> None:
        """Have the stream end in order: the server stops or reloads."""
        self.must_end = True
        self.wake()

    def wait(self, timeout_s: float) -> None:
        """Let others run until there is something to do, `timeout_s` at most."""
        if not (self._is_woken or self.is_gone or self.must_end):
            self._signal = self._loop.make_signal()
            self._signal.wait(timeout_s)
            self._signal = None
        self._is_woken = False

    def wake(self) -> None:
        """End the wait: there is something to send."""
        self._is_woken = True
        if self._signal is not None:
            self._signal.set()

    def close(self) -> None:
        """Stop watching the connection."""
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            self._reader.close()
            self._connection.close()
            on_close(self)

    def _read(self) -> None:
        try:
            # The flag is for this call alone: uWSGI uses the same connection in its own way.
            if self._connection.recv(DISCARD_BYTES, socket.MSG_DONTWAIT):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.is_gone = True
        self._reader.stop()
        self.wake()
