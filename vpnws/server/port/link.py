"""A station's link: writes what its port has queued, watches over its life, ends it politely."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from vpnws.sizes import MAX_UNSENT_BYTES, MAX_WRITE_BUFFERS, WRITE_BYTES
from vpnws.wire import websocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Loop, Watcher
    from vpnws.server.port.session import Session
    from vpnws.switch.port import AccessPort

BITE_BYTES: Final = 32768
"""While a socket is full, one write offers it at most this much, or one item: what the socket does
not take stands before all that comes later."""
LINGER_S: Final = 2.0
"""A link that we ended hears its station's answer for this long and is then closed. Closing a
socket with unread bytes resets it, and our close frame may be lost."""

log = logging.getLogger("vpnws")


class Link:
    """One station's connection. A receiver (stream or native) reads it; this is all the rest."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        session: Session,
        port: AccessPort,
        on_end: Callable[[Link], bool],
    ) -> None:
        """The link owns `connection` from here on; `on_end` is called once, when the port
        is over, and returns whether the connection may linger for its station's answer.
        """
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # A small frame must not wait for the answer to the one before (Nagle's algorithm).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # It would grow to megabytes, and all of that stands before a ping.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self._loop = loop
        self.connection = connection
        self.fd = connection.fileno()
        self.session = session
        self.port = port
        self.ended = False
        self.reason = ""
        self.heard_s = self.wrote_s = self.opened_s = loop.now()
        self._pinged_s = self.heard_s
        self._on_end = on_end
        self._writer: Watcher | None = None
        self._reader: Watcher | None = None
        self._linger_until_s = 0.0

    def read_with(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever the connection can be read."""
        self._reader = self._loop.on_readable(self.fd, callback)

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it without waiting."""
        # With a watcher the socket was full: it goes on when it is not.
        if self._writer is None:
            self._write()

    def send_control(self, opcode: int, payload: bytes) -> None:
        """Send a control frame before the frames that wait."""
        self.port.egress.push_control(websocket.encode(opcode, payload))
        self.flush()

    def watch_over(self, now: float, ping_every_s: float, dead_after_s: float) -> None:
        """Ping a quiet station; end one that has been silent for `dead_after_s`.

        The C vpn-ws client answers no ping, and sends its own only when nothing at all has come
        for 17 s: that it takes what we write counts as life, and our pings would keep it from it.
        """
        asks = self.session.answers_pings
        silent_s = now - (self.heard_s if asks else max(self.heard_s, self.wrote_s))
        if silent_s >= dead_after_s:
            self.end(websocket.GOING_AWAY, f"silent for {dead_after_s:.0f} s")
        elif asks and min(silent_s, now - self._pinged_s) >= ping_every_s:
            self._pinged_s = now
            self.send_control(websocket.PING, b"vpnws")

    def end(self, code: int, reason: str, *, by_peer: bool = False) -> None:
        """End the port with a close frame, then the connection: at once if the peer closed it."""
        if self.ended:
            return
        may_linger = self._finish(reason)
        if code != websocket.ABNORMAL:
            self._send_close(code, "" if by_peer else reason)
        if by_peer or not may_linger or code == websocket.ABNORMAL:
            self.close()
            return
        self._linger_until_s = self._loop.now() + LINGER_S
        self._watch_reads_until_closed()

    def lingered(self, now: float) -> bool:
        """Close a link that has waited long enough for its station's answer; True once closed."""
        if self.connection.fileno() >= 0 and now >= self._linger_until_s:
            self.close()
        return self.connection.fileno() < 0

    def close(self) -> None:
        """Close the connection and stop watching it."""
        self._stop_watching()
        # Whoever else waits for this connection, as `native` does, sees its end this way.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def _finish(self, reason: str) -> bool:
        self.ended = True
        self.reason = reason
        self._stop_watching()
        return self._on_end(self)

    def _send_close(self, code: int, reason: str) -> None:
        """Write a close frame behind a message half written, before everything else."""
        begun = self.port.egress.rest
        payload = websocket.close_payload(code, reason)
        try:
            os.writev(self.fd, [*begun, websocket.encode(websocket.CLOSE, payload)])
            self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def _stop_watching(self) -> None:
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.close()
        self._reader = self._writer = None

    def _watch_reads_until_closed(self) -> None:
        if self.connection.fileno() >= 0:
            self._reader = self._loop.on_readable(self.fd, self._discard)

    def _discard(self) -> None:
        try:
            if self.connection.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()

    def _write(self) -> None:
        """Write until nothing waits or the socket is full, whose watcher then goes on."""
        queue = self.port.egress
        now = self._loop.now()
        buffers: list[bytes | memoryview] = []
        try:
            while queue.size_bytes:
                buffers = queue.rest or self._gather(now)
                if not buffers:
                    break  # What waited was dropped for having waited too long.
                written = os.writev(self.fd, buffers)
                self.wrote_s = now
                if written < sum(map(len, buffers)):
                    queue.keep(_after(buffers, written))
                    self._wait_to_write()
                    return
                if queue.rest:
                    queue.keep([])
        except BlockingIOError:
            queue.keep(buffers)
            self._wait_to_write()
        except OSError as error:
            self.end(websocket.ABNORMAL, f"cannot write: {error.strerror}")
        else:
            self._stop_waiting()

    def _gather(self, now: float) -> list[bytes | memoryview]:
        queue = self.port.egress
        most_bytes = BITE_BYTES if queue.backed_up else WRITE_BYTES
        return self.port.format.gather(queue, most_bytes, MAX_WRITE_BUFFERS, now)

    def _wait_to_write(self) -> None:
        if self.ended:
            return
        # Each time: the queue ends it whenever the last item is taken, written or not.
        self.port.egress.backed_up = True
        if self._writer is None:
            self._writer = self._loop.on_writable(self.fd, self._write)

    def _stop_waiting(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _after(buffers: list[bytes | memoryview], count_bytes: int) -> list[bytes | memoryview]:
    """Return what stands behind the first `count_bytes` of `buffers`."""
    for index, buffer in enumerate(buffers):
        if count_bytes < len(buffer):
            return [memoryview(buffer)[count_bytes:], *buffers[index + 1 :]]
        count_bytes -= len(buffer)
    return []
