"""The two receivers: what comes in is forwarded, answered and ended, and others have their turn."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from tests.support.raw_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, encode_frame
from vpnws.server.port.link import Link
from vpnws.server.port.receiver import (
    LARGE_FRAME_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    MAX_RECEIVE_BYTES,
    MIN_RECEIVE_BYTES,
    PARTIAL,
    WAIT_S,
    receive_native,
    receive_stream,
)
from vpnws.server.port.session import Session
from vpnws.server.port.state import LinkState
from vpnws.switch.format import PLAIN_MESSAGES
from vpnws.wire import websocket
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.server.uwsgi import Uwsgi

PLENTY = 1 << 20
HELLO = frame(BROADCAST, mac(1))


class Socket(socket.socket):
    """A socket that notes how much it was asked for at each read."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.asked_bytes: list[int] = []

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.asked_bytes.append(nbytes)
        return super().recv_into(buffer, nbytes, flags)


class Bed:
    """A link of a port, the station's end of its connection, and a port that hears the station."""

    def __init__(self, pair: tuple[socket.socket, socket.socket] | None = None) -> None:
        self.fabric = Fabric(slots=1)
        self.switch = self.fabric.switches[0]
        self.loop = ManualLoop()
        self.hearer = self.fabric.attach()
        self.port = self.fabric.attach(format_=PLAIN_MESSAGES)
        near, self.station = pair or socket.socketpair()
        self.connection = Socket(near.detach())
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PLENTY)
        self.station.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PLENTY)
        self.station.setblocking(False)
        self.link = Link(self.loop, self.connection, Session(), self.port, lambda _link: True)

    def send(self, *frames: bytes) -> None:
        """Let the station send, and the server do what it then does."""
        self.station.sendall(b"".join(frames))
        self.loop.settle()

    def forwarded(self) -> list[bytes]:
        return self.fabric.received(self.hearer)

    def answer(self) -> bytes:
        try:
            return self.station.recv(PLENTY)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.link.lose("the test is over")
        self.link.close()
        self.loop.settle()
        self.station.close()
        self.loop.check_no_leak()


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.close()


@pytest.fixture
def stream(bed: Bed) -> Bed:
    receive_stream(bed.loop, bed.link, bed.switch)
    return bed


class TestStream:
    def test_forwards_whole_messages_and_keeps_what_is_not_whole(self, stream: Bed) -> None:
        other = frame(BROADCAST, mac(1), 100)
        message = encode_frame(BINARY, other)
        stream.send(encode_frame(BINARY, HELLO), message[:30])
        assert stream.forwarded() == [HELLO]
        assert stream.link.session.received.uncut == message[:30]
        stream.send(message[30:])
        assert stream.forwarded() == [other]
        assert not stream.link.session.received.uncut

    def test_what_is_uncut_of_one_station_is_not_mixed_with_another(self, stream: Bed) -> None:
        second = Bed()
        receive_stream(second.loop, second.link, second.switch)
        message = encode_frame(BINARY, HELLO)
        for at in range(len(message)):
            for bed in (stream, second):
                bed.send(message[at : at + 1])
        assert stream.forwarded() == second.forwarded() == [HELLO]
        second.close()

    def test_anything_that_comes_is_a_sign_of_life(self, stream: Bed) -> None:
        stream.loop.advance(10.0)
        stream.send(encode_frame(PONG))
        assert stream.link.times.heard_s == stream.loop.now()

    def test_of_several_pings_the_newest_is_answered(self, stream: Bed) -> None:
        stream.send(encode_frame(PING, b"old"), encode_frame(PING, b"new"))
        assert stream.answer() == websocket.encode(PONG, b"new")
        stream.send(encode_frame(BINARY, HELLO))
        assert stream.answer() == b""

    def test_a_close_frame_is_answered_after_what_came_before_it(self, stream: Bed) -> None:
        stream.send(
            encode_frame(BINARY, HELLO),
            encode_frame(PING, b"last"),
            encode_frame(CLOSE, b"\x03\xe8bye"),
            encode_frame(BINARY, HELLO),
        )
        assert stream.forwarded() == [HELLO]
        assert stream.answer() == websocket.encode(PONG, b"last") + websocket.encode(
            CLOSE, b"\x03\xe8"
        )
        assert (stream.link.state, stream.link.reason) == (LinkState.CLOSED, "bye")

    def test_a_violation_ends_the_link_after_what_came_before_it(self, stream: Bed) -> None:
        stream.send(encode_frame(BINARY, HELLO), encode_frame(CONTINUATION, b"of what?"))
        assert stream.forwarded() == [HELLO]
        answer = stream.answer()
        assert answer[2:4] == websocket.PROTOCOL_ERROR.to_bytes(2)
        assert stream.link.state is LinkState.LINGERING
        assert stream.link.reason.encode() == answer[4:]

    def test_a_message_is_as_long_as_the_port_allows(self, stream: Bed) -> None:
        longest = bytes(stream.port.max_frame_bytes)
        stream.send(encode_frame(BINARY, longest))
        assert stream.link.state is LinkState.OPEN
        stream.send(encode_frame(BINARY, longest + b"x"))
        assert stream.answer()[2:4] == websocket.MESSAGE_TOO_BIG.to_bytes(2)

    def test_a_stream_that_ends_is_a_lost_connection(self, stream: Bed) -> None:
        stream.station.shutdown(socket.SHUT_WR)
        stream.loop.settle()
        assert stream.link.state is LinkState.CLOSED
        assert stream.link.reason == "the connection was closed without a close frame"

    def test_a_reset_is_a_lost_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            station = socket.create_connection(server.getsockname())
            near, _ = server.accept()
        bed = Bed((near, station))
        receive_stream(bed.loop, bed.link, bed.switch)
        station.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        station.close()
        bed.loop.settle()
        assert bed.link.reason == "cannot read: Connection reset by peer"
        bed.close()


class TestTurns:
    def test_large_frames_make_reads_longer_up_to_the_bound(self, stream: Bed) -> None:
        large = encode_frame(BINARY, frame(BROADCAST, mac(1), 4 * LARGE_FRAME_BYTES))
        stream.send(large * (MAX_RECEIVE_BYTES // len(large)))
        stream.send(large * (MAX_RECEIVE_BYTES // len(large)))
        asked = stream.connection.asked_bytes
        doubled = [MIN_RECEIVE_BYTES << power for power in range(6)]
        assert asked[: len(doubled)] == doubled
        assert max(asked) == doubled[-1] == MAX_RECEIVE_BYTES

    def test_small_frames_make_them_shorter_again(self, stream: Bed) -> None:
        large = encode_frame(BINARY, frame(BROADCAST, mac(1), 4 * LARGE_FRAME_BYTES))
        stream.send(large * (MAX_RECEIVE_BYTES // len(large)))
        before = stream.connection.asked_bytes[-1]
        assert before > 2 * MIN_RECEIVE_BYTES
        for _ in range(10):
            stream.send(encode_frame(BINARY, HELLO))
        sizes = stream.connection.asked_bytes[-10:]
        assert sizes == [max(MIN_RECEIVE_BYTES, before >> step) for step in range(10)]

    def test_empty_fragments_and_pings_count_as_small_frames(self, stream: Bed) -> None:
        large = encode_frame(BINARY, frame(BROADCAST, mac(1), 4 * LARGE_FRAME_BYTES))
        stream.send(large * (MAX_RECEIVE_BYTES // len(large)))
        before = stream.connection.asked_bytes[-1]
        stream.send(encode_frame(PONG))
        stream.send(encode_frame(PONG))
        assert stream.connection.asked_bytes[-1] == before // 2


class Messages:
    """A uWSGI that cuts a station's bytes into the messages that the test says."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waiting: list[bytes] = []

    def receive_message(self) -> bytes:
        if self.waiting:
            return self.waiting.pop(0)
        try:
            data = self.connection.recv(PLENTY)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError("uWSGI says nothing more")
        return b""


class NativeBed(Bed):
    """A bed whose link is served by a request, which has a greenlet of its own."""

    def __init__(self) -> None:
        super().__init__()
        # uWSGI's own descriptor is another one, and open until the request is over.
        self.uwsgi = Messages(socket.socket(fileno=os.dup(self.connection.fileno())))
        self.turns: list[int] = []
        """Frames that had come in whenever others had their turn."""
        fd = self.uwsgi.connection.fileno()
        self.request = self.loop.spawn(
            lambda: receive_native(self.loop, cast("Uwsgi", self.uwsgi), self.link, fd, self.switch)
        )

    def send(self, *messages: bytes) -> None:
        self.uwsgi.waiting += messages
        super().send(b"something to read")


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Iterator[NativeBed]:
    bed = NativeBed()
    let_others_run = bed.loop.let_others_run

    def note_turn() -> None:
        bed.turns.append(bed.port.rx_frames)
        let_others_run()

    monkeypatch.setattr(bed.loop, "let_others_run", note_turn)
    yield bed
    bed.close()
    assert bed.request.dead, "the end of the link has not woken its request"
    bed.uwsgi.connection.close()


class TestNative:
    def test_forwards_what_uwsgi_has_cut_and_waits_for_more(self, native: NativeBed) -> None:
        for at_s in (10.0, 20.0):
            native.loop.advance(10.0)
            native.send(HELLO, HELLO)
            assert native.forwarded() == [HELLO, HELLO]
            assert native.link.times.heard_s == native.link.times.opened_s + at_s
        assert not native.request.dead

    def test_a_quiet_station_is_waited_for(self, native: NativeBed) -> None:
        native.loop.advance(3 * WAIT_S)
        native.send(HELLO)
        assert native.forwarded() == [HELLO]

    def test_others_have_their_turn_after_so_many_messages(self, native: NativeBed) -> None:
        native.send(*[HELLO] * (2 * MAX_BATCH_MESSAGES + 1))
        assert native.turns == [MAX_BATCH_MESSAGES, 2 * MAX_BATCH_MESSAGES]
        assert len(native.forwarded()) == 2 * MAX_BATCH_MESSAGES + 1

    def test_and_after_so_many_bytes(self, native: NativeBed) -> None:
        large = frame(BROADCAST, mac(1), MAX_BATCH_BYTES // 4)
        native.send(*[large] * 9)
        assert native.turns == [4, 8]

    def test_a_fragment_ends_the_link_after_what_came_before_it(self, native: NativeBed) -> None:
        native.send(HELLO, PARTIAL, HELLO)
        assert native.forwarded() == [HELLO]
        assert native.answer()[2:] == websocket.close_payload(
            websocket.PROTOCOL_ERROR, "native takes no fragments"
        )
        assert native.request.dead

    def test_the_connections_end_is_a_lost_connection(self, native: NativeBed) -> None:
        native.station.shutdown(socket.SHUT_WR)
        native.loop.settle()
        assert native.link.reason == "the connection was closed"
        assert native.request.dead

    def test_reads_nothing_while_a_message_is_half_written(self, native: NativeBed) -> None:
        # uWSGI may write to the connection when it reads, into the midst of our message.
        while not native.port.egress.begun:
            native.fabric.send(native.hearer, frame(BROADCAST, mac(2), 1400))
            native.link.flush(native.loop.now())
        native.forwarded()
        native.send(HELLO)
        assert native.uwsgi.waiting == [HELLO]
        while native.port.egress.waiting:
            native.answer()
            native.loop.settle()
        assert native.forwarded() == [HELLO]
