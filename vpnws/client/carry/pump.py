"""Carries frames between a TAP and one connection until one of them ends, or a signal comes.

Theory of operation. One level-triggered poller watches five descriptors: the stop request, the
connection, the TAP, what tells that the device has changed, and what is aside. Frames that are
ready together go to the server in one write. While the stream has not taken them all, the TAP is
not read. Its own short queue fills, and the kernel drops frames there, at the sender. Frames for
the TAP never wait: a frame that the device does not take at once is dropped and counted. A read
that finds nothing costs more than a turn. So a turn reads one frame from the TAP, and a batch only
if the previous turn found several frames at once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from websockets.frames import CLOSE_CODE_EXPLANATIONS

from vpnws.client.carry.frames import FrameCarrier
from vpnws.client.carry.keepalive import LOOK_EVERY_S, Due, Keepalive
from vpnws.client.carry.records import RecordCarrier
from vpnws.client.carry.texts import Texts, ignore
from vpnws.client.waiting import Stopped
from vpnws.errors import ClosedError, ConnectError, NetworkChangedError, TapError
from vpnws.poller import READ, make_poller
from vpnws.sizes import TURN_FRAMES
from vpnws.text import one_line
from vpnws.wire.websocket import GOING_AWAY, NO_STATUS, NORMAL, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.client.carry.watch import DeviceWatch
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import Tap
    from vpnws.wire.offer import Offer

CLOSE_WAIT_S: Final = 0.5
"""The client waits this long for the server's close frame, then leaves without it."""
_DESCRIPTORS: Final = 5


class Pump:
    """One connection's traffic; made after the handshake and thrown away at the end."""

    def __init__(
        self,
        tap: Tap,
        connection: Connection,
        waiter: Waiter,
        counters: Counters,
        watch: DeviceWatch,
        announced: Sequence[bytes] = (),
        told: Callable[[Offer], None] = ignore,
        leaving: Callable[[], Sequence[bytes]] = tuple,
    ) -> None:
        """Borrow everything: the caller closes `tap` and `connection`.

        `announced` are complete frames that are sent first, fewer than a turn has. `told` gets what
        the server says in texts; `leaving` returns frames to send last, when told to stop.
        """
        self._announced = announced
        self._watch = watch
        carrier_class = RecordCarrier if connection.has_offload else FrameCarrier
        self._carrier = carrier_class(tap, connection, counters, watch.max_frame_bytes)
        self._tap_fd = tap.fd
        self._connection = connection
        self._round_trip = connection.round_trip
        self._waiter = waiter
        self._counters = counters
        self._texts = Texts(told)
        self._leaving = leaving
        self._keepalive = Keepalive(
            waiter.now(), answers_pings=connection.answers_pings, sent=counters.frames_sent
        )
        self._aside = waiter.aside
        self._wake_at_s = 0.0
        self._look_at_s = 0.0
        self._poller = make_poller()
        self.is_paused = False
        """Whether the TAP is not read because the stream has not taken everything yet."""
        self._max_frames = 1

    def run(self) -> NoReturn:
        """Carry frames until something ends it.

        Raises ConnectError with the reason when the connection ended, TapError when the device
        failed, Stopped when told to stop. If possible the server gets a close frame.
        """
        with self._poller:
            self._poller.register(self._waiter.stop.fd, READ)
            self._poller.register(self._connection.fd, READ)
            self._poller.register(self._tap_fd, READ)
            self._poller.register(self._aside.fd, READ)
            if self._watch.fd >= 0:
                self._poller.register(self._watch.fd, READ)
            try:
                self._run()
            except Stopped:
                self._take_leave()
                self._close(NORMAL)
                raise
            except TapError:
                self._close(GOING_AWAY)
                raise
            except NetworkChangedError:
                # The way to the server may be gone: nothing waits for its answer.
                self._connection.send_close(GOING_AWAY)
                raise

    def _run(self) -> NoReturn:
        if self._announced:
            self._carrier.send(self._announced)
        self._carrier.deliver(self._connection.take_early())
        # An offer may come together with the answer to the upgrade.
        self._texts.take(self._connection.take_texts())
        if self._connection.is_over:
            self._finish()
        now = self._waiter.now()
        while True:
            now = self._turn(now)

    def _turn(self, now: float) -> float:
        """Wait until something is ready, and serve it; return when the waiting ended.

        `now` is what the last turn returned: the clock is read once a turn.
        """
        connection = self._connection
        is_readable = connection.has_pending()
        timeout_s = 0.0 if is_readable else max(0.0, self._wake_at_s - now)
        tap_events = 0
        for fd, events in self._poller.poll(timeout_s, _DESCRIPTORS):
            if fd == connection.fd:
                is_readable = True
            elif fd == self._tap_fd:
                tap_events = events
            elif fd == self._watch.fd:
                self._look_at_device()
            elif fd == self._aside.fd:
                self._look_at_s = 0.0
            else:
                raise Stopped
        now = self._waiter.now()
        has_delivered = is_readable and self._serve_connection(now)
        self._serve_tap(tap_events, has_delivered)
        if now >= self._look_at_s:
            self._aside.serve(now)
            self._keep_alive(now)
        if connection.is_over:
            self._finish()
        if self.is_paused != connection.has_unsent:
            self._pause(not self.is_paused)
        return now

    def _look_at_device(self) -> None:
        """Follow a device that has changed. Raises TapError if it is gone.

        Raises ConnectError for a new MAC: the server, and what looks at its log, know the station
        by the MAC that it announced when it connected.
        """
        mac = self._watch.state.mac
        self._watch.look()
        self._carrier.max_frame_bytes = self._watch.max_frame_bytes
        if self._watch.state.mac != mac:
            self._close(NORMAL)
            raise ConnectError("the device has another MAC, which the server must know")

    def _serve_tap(self, events: int, has_delivered: bool) -> None:
        """Read the TAP if it may have frames and nothing is unsent; `events` are those it reported.

        `has_delivered` says that frames were just written to it. The kernel answers many frames
        during the write: with an ACK, an echo, the next data.
        """
        if has_delivered:
            self._max_frames = TURN_FRAMES
        elif not events and not self.is_paused:
            self._max_frames = 1
        has_failed = events & ~READ
        may_have_frames = has_delivered or events
        # A failure is reported even while the TAP is not watched; the read says which failure.
        if has_failed or (may_have_frames and not self._connection.has_unsent):
            # One frame; a batch if the TAP had more right after the last one.
            count = self._carrier.take(self._max_frames)
            self._max_frames = TURN_FRAMES if count == self._max_frames or count > 1 else 1

    def _serve_connection(self, now: float) -> bool:
        """Read the connection; return whether frames came."""
        connection = self._connection
        before = connection.received_bytes
        messages = connection.receive()
        if messages:
            self._carrier.deliver(messages)
        if connection.received_bytes != before:
            self._keepalive.received(now)
        if self._round_trip.is_open:
            self._round_trip.heard(now, connection.pongs)
        if connection.has_unsent:
            connection.flush()
        connection.answer_ping()
        if texts := connection.take_texts():
            self._texts.take(texts)
            # Who is told may set an alarm.
            self._look_at_s = 0.0
        return bool(messages)

    def _keep_alive(self, now: float) -> None:
        connection = self._connection
        if connection.answers_pings:
            self._keepalive.answered()
        if self._aside.has_doubt:
            self._aside.has_doubt = False
            self._keepalive.doubt()
        if not connection.has_unsent:
            self._keepalive.accepted(now)
        due = self._keepalive.due(now, self._counters.frames_sent, connection.unacknowledged_s())
        self._wake_at_s = min(self._keepalive.next_at_s(), self._aside.next_at_s())
        self._look_at_s = min(now + LOOK_EVERY_S, self._wake_at_s)
        if due is Due.PING:
            self._round_trip.begin(now, connection.pongs)
            connection.ping()
        elif due is Due.GIVE_UP:
            # Nobody would answer: there is nothing to wait for.
            connection.send_close(GOING_AWAY)
            raise self._given_up(now)

    def _given_up(self, now: float) -> ConnectError:
        """Return what to raise for a server that does not answer."""
        if self._keepalive.is_doubted:
            return NetworkChangedError(
                "this machine stood still, or its cable was out, and the server does not answer"
                " on the old connection"
            )
        silent_s = self._keepalive.silent_s(now)
        return ConnectError(f"nothing was heard from the server for {silent_s:.0f} s")

    def _pause(self, is_paused: bool) -> None:
        """Stop watching the TAP until the connection has room, or watch it again."""
        self.is_paused = is_paused
        self._poller.modify(self._connection.fd, self._connection.events())
        self._poller.modify(self._tap_fd, 0 if is_paused else READ)

    def _finish(self) -> NoReturn:
        """Answer the server's close frame, or its breach of the protocol; raise ConnectError."""
        ending = self._connection.ending
        if ending is None:
            raise ConnectError(self._connection.failure)
        self._close(ending.code, "" if ending.by_peer else ending.reason)
        if ending.by_peer:
            raise ClosedError(describe(ending), ending.code)
        raise ConnectError(describe(ending))

    def _take_leave(self) -> None:
        """Send what is to be sent before the program ends, and what the machine sends just now."""
        frames = self._leaving()
        if self._connection.has_unsent:
            return
        if frames:
            self._carrier.send(frames)
        with suppress(TapError):
            self._carrier.take(TURN_FRAMES)

    def _close(self, code: int, reason: str = "") -> None:
        """Do the closing handshake, for at most CLOSE_WAIT_S."""
        connection = self._connection
        connection.send_close(code, reason)
        until_s = self._waiter.now() + CLOSE_WAIT_S
        with make_poller() as poller:
            poller.register(connection.fd, 0)
            while not connection.failure and (connection.has_unsent or not connection.is_over):
                poller.modify(connection.fd, connection.events())
                left_s = until_s - self._waiter.now()
                if left_s <= 0 or not poller.poll(left_s):
                    break
                connection.flush()
                connection.receive()


def describe(ending: Ending) -> str:
    """Return the sentence for a connection that was closed, or broke the protocol."""
    reason = one_line(ending.reason)
    if not ending.by_peer:
        return f"the server broke the WebSocket protocol: {reason}"
    if ending.code == NO_STATUS:
        return "the server closed the connection without saying why"
    meaning = reason or CLOSE_CODE_EXPLANATIONS.get(ending.code, "no reason given")
    return f"the server closed the connection: {ending.code} ({meaning})"
