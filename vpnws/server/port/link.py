"""A station's link: writes what its port has queued, pings a quiet station, and ends politely.

`state.py` draws its states. Only the first event that ends a link counts: `end`, `answer_close` and
`lose` do nothing once the link is not OPEN.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Final

from vpnws.server.port.session import LinkTimes
from vpnws.server.port.state import TRANSITIONS, LinkEvent, LinkState, LinkStateError
from vpnws.sizes import MAX_UNSENT_BYTES, MAX_WRITE_BUFFERS, WRITE_BYTES
from vpnws.wire import websocket
from vpnws.wire.offer import Offer, encode
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.server.loop import Loop, Watcher
    from vpnws.server.port.session import Session
    from vpnws.switch.port import AccessPort
    from vpnws.wire.buffer import Buffer
    from vpnws.wire.websocket import Ending

BITE_BYTES: Final = 32768
"""While a socket is full, one write offers it at most this much, or one longer item. What the
socket does not take must be written before anything newer."""
JOIN_BYTES: Final = 16384
"""A write of at most this much is first copied into one buffer. That costs less than passing many
small buffers to the kernel."""
LINGER_S: Final = 2.0
"""When we end a link, it waits at most this long for its station's answer. Closing a socket that
has unread bytes resets the connection, and our close frame could be lost."""
DISCARD_BYTES: Final = 65536
"""A lingering link reads and discards this much at a time."""

log = logging.getLogger("vpnws")


class Link:
    """One station's connection. It does everything but read, which a receiver does."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        session: Session,
        port: AccessPort,
        on_end: Callable[[Link], bool],
        times: LinkTimes | None = None,
    ) -> None:
        """Own `connection` from now on.

        `on_end` is called once, when the link is no longer OPEN; it returns whether the connection
        may linger for its station's answer. `times` are those of a link that another process
        handed over. Raises OSError if the connection is gone already.
        """
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # A small frame must not wait for the answer to the one before (Nagle's algorithm).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The kernel's buffer would grow to megabytes, and a ping would wait behind them.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self.state = LinkState.OPEN
        self.reason = ""
        """Why the link is no longer OPEN, for the log."""
        self.left_for_good = False
        """Whether the station has said that it does not come back."""
        self.connection = connection
        self.session = session
        self.port = port
        self.times = times or LinkTimes.starting_at(loop.now())
        self._loop = loop
        self._on_end = on_end
        self._writer: Watcher | None = None
        self._reader: Watcher | None = None
        self._linger_until_s = 0.0

    def read_with(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever the connection can be read.

        A link that has ended already is not read: its first write may have shown that nobody is
        there.
        """
        if self.state is LinkState.OPEN:
            self._reader = self._loop.on_readable(self.connection.fileno(), callback)

    def flush(self, now: float) -> None:
        """Write what is queued, as much as the socket takes without waiting."""
        # A link with a writer continues when its socket has room again.
        if self._writer is None and self.state is LinkState.OPEN:
            self._write(now)

    def send_control(self, opcode: int, payload: bytes, now: float) -> None:
        """Send a control frame before the Ethernet frames that wait."""
        self.port.egress.push_control(websocket.encode(opcode, payload))
        self.flush(now)

    def notify(self, notice: str, now: float) -> None:
        """Tell the station something, where it can read it: only `vpnws.offload.1` has texts.

        There is no room for a notice while CONTROL_RESERVE_BYTES of others wait.
        """
        self.tell(Offer(notice=notice), now)

    def tell(self, offer: Offer, now: float) -> None:
        """Tell the station what there is for it, where it can read it."""
        if self.session.subprotocol == SUBPROTOCOL:
            self.send_control(websocket.TEXT, encode(offer).encode(), now)

    def watch_over(self, now: float, ping_every_s: float, dead_after_s: float) -> None:
        """Ping a quiet station; end one that has been silent for `dead_after_s`.

        The C vpn-ws client does not answer pings, and sends its own only when nothing at all has
        come for 17 s. Our pings would keep it from that, so it gets none. It counts as alive while
        it takes what we write.
        """
        can_ping = self.session.answers_pings
        times = self.times
        silent_s = now - (times.heard_s if can_ping else max(times.heard_s, times.wrote_s))
        if silent_s >= dead_after_s:
            self.end(websocket.GOING_AWAY, f"silent for {dead_after_s:.0f} s")
        elif can_ping and min(silent_s, now - times.pinged_s) >= ping_every_s:
            times.pinged_s = now
            self.send_control(websocket.PING, b"vpnws", now)

    def end(self, code: int, reason: str) -> None:
        """End the port, send a close frame, and linger for the station's answer."""
        if self.state is not LinkState.OPEN:
            return
        may_linger = self._leave_open(LinkEvent.END, reason)
        if self._send_close(code, reason) and may_linger:
            self._linger_until_s = self._loop.now() + LINGER_S
            self._reader = self._loop.on_readable(self.connection.fileno(), self._discard)
        else:
            self.close()

    def answer_close(self, ending: Ending) -> None:
        """End the port because the station sent a close frame; answer it and close."""
        if self.state is not LinkState.OPEN:
            return
        # A station that comes back says something else, or nothing (RFC 6455 7.4.1).
        self.left_for_good = ending.code == websocket.NORMAL
        self._leave_open(LinkEvent.ANSWER_CLOSE, ending.reason or "closed by the station")
        self._send_close(ending.code, "")
        self._close_connection()

    def lose(self, reason: str) -> None:
        """End the port because the connection broke: nobody is there to be sent a close frame."""
        if self.state is not LinkState.OPEN:
            return
        self._leave_open(LinkEvent.LOSE, reason)
        self._close_connection()

    def hand_over(self) -> socket.socket:
        """Give the connection to the caller, so that another link can take it over.

        `on_end` is not called. Raises LinkStateError if the link is not OPEN.
        """
        self._move(LinkEvent.HAND_OVER)
        self._stop_watching()
        return socket.socket(fileno=self.connection.detach())

    def close(self) -> None:
        """Close the connection of a link that has ended, whether its station answered or not.

        Raises LinkStateError if the link is OPEN.
        """
        if self.state is not LinkState.CLOSED:
            self._move(LinkEvent.CLOSE)
            self._close_connection()

    def lingered(self, now: float) -> bool:
        """Close the link once it has waited long enough; return whether it is closed."""
        if self.state is LinkState.LINGERING and now >= self._linger_until_s:
            self.close()
        return self.state is LinkState.CLOSED

    def _move(self, event: LinkEvent) -> None:
        """Go where `event` leads. Raises LinkStateError if it leads nowhere from this state."""
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise LinkStateError(f"a link that is {self.state.value} cannot {event.value}")
        self.state = after

    def _leave_open(self, event: LinkEvent, reason: str) -> bool:
        """Take the port off the switch; return whether the connection may linger."""
        self._move(event)
        self.reason = reason
        self._stop_watching()
        return self._on_end(self)

    def _send_close(self, code: int, reason: str) -> bool:
        """Finish a partly written message and write a close frame; return False if that fails."""
        frame = websocket.encode(websocket.CLOSE, websocket.close_payload(code, reason))
        buffers = [*self.port.egress.rest, frame]
        try:
            _send(self.connection, buffers, sum(map(len, buffers)))
            self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def _close_connection(self) -> None:
        self._stop_watching()
        # This also wakes `native`, which waits for the connection on another descriptor.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def _stop_watching(self) -> None:
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.close()
        self._reader = self._writer = None

    def _discard(self) -> None:
        try:
            if self.connection.recv(DISCARD_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()

    def _writable(self) -> None:
        self._write(self._loop.now())

    def _write(self, now: float) -> None:
        """Write until nothing waits, or until the socket is full; then a watcher continues."""
        queue = self.port.egress
        gather = self.port.format.gather
        buffers: list[bytes | memoryview] = []
        try:
            while queue.size_bytes:
                max_bytes = BITE_BYTES if queue.backed_up else WRITE_BYTES
                buffers = queue.rest or gather(queue, max_bytes, MAX_WRITE_BUFFERS, now)
                if not buffers:
                    break  # Every item had waited too long and was dropped.
                size_bytes = sum(map(len, buffers))
                written = _send(self.connection, buffers, size_bytes)
                self.times.wrote_s = now
                if written < size_bytes:
                    queue.keep(_after(buffers, written))
                    self._wait_to_write()
                    return
                if queue.rest:
                    queue.keep([])
        except BlockingIOError:
            queue.keep(buffers)
            self._wait_to_write()
        except OSError as error:
            self.lose(f"cannot write: {error.strerror}")
        else:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _wait_to_write(self) -> None:
        # Set it every time: the queue clears it when the last item is taken, written or not.
        self.port.egress.backed_up = True
        if self._writer is None:
            self._writer = self._loop.on_writable(self.connection.fileno(), self._writable)


def _send(connection: socket.socket, buffers: Sequence[Buffer], size_bytes: int) -> int:
    """Write as much of `buffers` as the socket takes; return how many bytes that was."""
    if size_bytes <= JOIN_BYTES:
        return connection.send(b"".join(buffers))
    return connection.sendmsg(buffers)


def _after(buffers: list[bytes | memoryview], count_bytes: int) -> list[bytes | memoryview]:
    """Return what follows the first `count_bytes` of `buffers`."""
    for index, buffer in enumerate(buffers):
        if count_bytes < len(buffer):
            return [memoryview(buffer)[count_bytes:], *buffers[index + 1 :]]
        count_bytes -= len(buffer)
    return []
