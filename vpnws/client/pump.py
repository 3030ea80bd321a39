"""Carries frames between a TAP and one connection until one of them ends, or a signal comes.

Theory of operation. One level-triggered epoll set holds three descriptors: the stop request, the
connection, the TAP. Toward the server, frames that are ready together go out in one write; while
the stream has not taken them all, the TAP is not read, so that its own short queue fills and the
kernel drops there, at the sender. Toward the TAP nothing waits: a frame that the device does not
take now is dropped and counted.
"""

from __future__ import annotations

import errno
import select
from typing import TYPE_CHECKING, Final, NoReturn

from websockets.frames import CLOSE_CODE_EXPLANATIONS

from vpnws.client.counters import Drop
from vpnws.client.keepalive import DEAD_AFTER_S, Due, Keepalive
from vpnws.client.text import printable
from vpnws.client.waiting import Stopped
from vpnws.errors import ConnectError, TapError
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.websocket import GOING_AWAY, NO_STATUS, Ending

if TYPE_CHECKING:
    from vpnws.client.connection import Connection
    from vpnws.client.counters import Counters
    from vpnws.client.waiting import Waiter
    from vpnws.host.tap import Tap

BATCH_FRAMES: Final = 64
"""Most frames in one write."""
BATCH_BYTES: Final = 131072
"""A batch is closed once it has this many bytes; the unsent bytes stay below it and a frame."""
TAG_BYTES: Final = 8
"""Two tags (IEEE 802.1Q and 802.1ad) may stand in a frame beside what the MTU counts."""
DRAIN_FRAMES: Final = 1024
"""Most frames dropped as stale: several times what the device's queue holds."""
CLOSE_WAIT_S: Final = 0.5
"""How long the closing handshake may take."""
_EVENTS: Final = 3
_FRAME_REFUSED: Final = frozenset((errno.EIO, errno.EINVAL, errno.ENOMEM, errno.ENOBUFS))
"""Errors of a single frame (EIO: the device is down); any other is the device's end."""


def drain(tap: Tap, counters: Counters) -> None:
    """Drop what the TAP queued during an outage: it is too old to be of use.

    Raises TapError when the device is gone.
    """
    for _ in range(DRAIN_FRAMES):
        if _read(tap) is None:
            break
        counters.drops[Drop.STALE] += 1


class Pump:
    """One connection's traffic; made after the handshake and thrown away at the end."""

    def __init__(
        self,
        tap: Tap,
        connection: Connection,
        waiter: Waiter,
        counters: Counters,
        mtu_bytes: int,
    ) -> None:
        """Borrow everything: the caller closes `tap` and `connection`."""
        self._tap = tap
        self._connection = connection
        self._waiter = waiter
        self._counters = counters
        self._max_frame_bytes = mtu_bytes + HEADER_BYTES + TAG_BYTES
        self._keepalive = Keepalive(waiter.now())
        self._poller = select.epoll()
        self._watched = (0, 0)

    def run(self) -> NoReturn:
        """Carry frames.

        Raises ConnectError when the connection is over, with the reason; TapError when the device
        is; Stopped when told to stop. The server is told in each case, if it can be.
        """
        with self._poller:
            self._poller.register(self._waiter.stop.fd, select.EPOLLIN)
            self._poller.register(self._connection.fd, 0)
            self._poller.register(self._tap.fd, 0)
            self._watch()
            self._deliver(self._connection.take_early())
            try:
                while True:
                    self._turn()
            except (Stopped, TapError):
                self._close(GOING_AWAY)
                raise

    def _turn(self) -> None:
        ready = dict(self._poller.poll(self._timeout_s(), _EVENTS))
        now = self._waiter.now()
        if self._waiter.stop.fd in ready:
            raise Stopped
        if self._connection.fd in ready or self._connection.has_pending():
            self._serve_connection(now)
        tap_events = ready.get(self._tap.fd, 0)
        # Errors are reported even while the TAP is not watched; reading then says which.
        if tap_events & ~select.EPOLLIN or (tap_events and not self._connection.record.unsent):
            self._take_from_tap()
        self._keep_alive(now)
        self._watch()

    def _timeout_s(self) -> float:
        if self._connection.has_pending() or self._connection.is_over:
            return 0.0
        return max(0.0, self._keepalive.next_at_s() - self._waiter.now())

    def _serve_connection(self, now: float) -> None:
        connection = self._connection
        before = connection.received_bytes
        self._deliver(connection.receive())
        if connection.received_bytes != before:
            self._keepalive.received(now)
        connection.flush()
        connection.answer_ping()

    def _deliver(self, frames: list[bytes]) -> None:
        """Write received frames to the TAP."""
        counters = self._counters
        longest = self._max_frame_bytes
        write = self._tap.write
        for frame in frames:
            if not HEADER_BYTES <= len(frame) <= longest:
                short = len(frame) < HEADER_BYTES
                counters.drops[Drop.SHORT if short else Drop.OVERSIZE] += 1
                continue
            try:
                write(frame)
            except BlockingIOError:
                counters.drops[Drop.TAP_FULL] += 1
            except OSError as error:
                if error.errno not in _FRAME_REFUSED:
                    raise _gone(self._tap, error) from error
                counters.drops[Drop.TAP_REFUSED] += 1
            else:
                counters.frames_received += 1

    def _take_from_tap(self) -> None:
        """Send the frames that are ready, up to a batch."""
        frames: list[bytes] = []
        size_bytes = 0
        while len(frames) < BATCH_FRAMES and size_bytes < BATCH_BYTES:
            frame = _read(self._tap)
            if frame is None:
                break
            frames.append(frame)
            size_bytes += len(frame)
        if frames:
            self._counters.frames_sent += len(frames)
            self._connection.send_frames(frames)

    def _keep_alive(self, now: float) -> None:
        connection = self._connection
        if connection.is_over:
            self._finish()
        due = self._keepalive.due(now)
        if due is Due.PING:
            connection.ping()
        elif due is Due.GIVE_UP:
            self._close(GOING_AWAY)
            raise ConnectError(f"nothing was heard from the server for {DEAD_AFTER_S:.0f} s")

    def _watch(self) -> None:
        """Tell the poller what is worth waiting for; the TAP is not while bytes are unsent."""
        paused = self._connection.record.unsent
        wanted = (self._connection.events(), 0 if paused else select.EPOLLIN)
        if wanted != self._watched:
            self._watched = wanted
            self._poller.modify(self._connection.fd, wanted[0])
            self._poller.modify(self._tap.fd, wanted[1])

    def _finish(self) -> NoReturn:
        """Answer the server's close, or say what it did wrong; raise why the connection is over."""
        ending = self._connection.ending
        if ending is None:
            raise ConnectError(self._connection.failure)
        self._close(ending.code, "" if ending.by_peer else ending.reason)
        raise ConnectError(describe(ending))

    def _close(self, code: int, reason: str = "") -> None:
        """Do the closing handshake, as far as it goes within CLOSE_WAIT_S."""
        connection = self._connection
        connection.send_close(code, reason)
        until_s = self._waiter.now() + CLOSE_WAIT_S
        with select.epoll() as poller:
            poller.register(connection.fd, 0)
            while not connection.failure and (connection.record.unsent or not connection.is_over):
                poller.modify(connection.fd, connection.events())
                left_s = until_s - self._waiter.now()
                if left_s <= 0 or not poller.poll(left_s):
                    break
                connection.flush()
                connection.receive()


def describe(ending: Ending) -> str:
    """Return the sentence for the end of a connection that did not merely break."""
    reason = printable(ending.reason)
    if not ending.by_peer:
        return f"the server broke the WebSocket protocol: {reason}"
    if ending.code == NO_STATUS:
        return "the server closed the connection without saying why"
    meaning = reason or CLOSE_CODE_EXPLANATIONS.get(ending.code, "no reason given")
    return f"the server closed the connection: {ending.code} ({meaning})"


def _read(tap: Tap) -> bytes | None:
    """Return the next frame of `tap`, None when there is none now. Raises TapError."""
    try:
        return tap.read()
    except BlockingIOError:
        return None
    except OSError as error:
        raise _gone(tap, error) from error


def _gone(tap: Tap, error: OSError) -> TapError:
    if error.errno == errno.EBADFD:
        return TapError(f"the TAP device {tap.name} was deleted")
    return TapError(f"the TAP device {tap.name} failed: {error.strerror}")
