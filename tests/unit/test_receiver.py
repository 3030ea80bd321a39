"""The receivers: how much they read in a turn, what ends a link, what a half message costs."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.wire import Wire
from tests.support.frames import frame, mac
from tests.support.node_bed import NodeBed, NodeStation
from tests.support.raw_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from vpnws.server.port.receiver import (
    LEAST_RECEIVE_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    MAX_RECEIVE_BYTES,
    MIN_RECEIVE_BYTES,
    WAIT_S,
    receive_native,
)
from vpnws.server.port.session import Session
from vpnws.server.port.state import LinkState
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpnws.server.port.link import Link

FIRST, SECOND = mac(1), mac(2)


def message(size: int = 60) -> bytes:
    return encode_frame(BINARY, frame(BROADCAST, FIRST, size))


class Recorder:
    """Stands between a link and its connection, and notes how much each read asks for."""

    def __init__(self, bed: NodeBed) -> None:
        wire = Wire(bed.loop, room_bytes=4 * MAX_RECEIVE_BYTES, max_write_bytes=1 << 24)
        self.asked: list[int] = []
        read = wire.near.recv_into

        def recv_into(buffer: memoryview, count: int = 0) -> int:
            self.asked.append(count)
            return read(buffer, count)

        wire.near.recv_into = recv_into  # type: ignore[method-assign]
        self.station = bed.join_over(wire)


@pytest.fixture
def bed() -> NodeBed:
    return NodeBed(storm_limit=0)


class TestStream:
    def test_a_message_that_comes_byte_by_byte_is_forwarded_once(self, bed: NodeBed) -> None:
        sender, listener = bed.join(), bed.join()
        for byte in message():
            assert listener.messages() == []
            sender.send(bytes((byte,)))
        assert listener.messages() == [frame(BROADCAST, FIRST)]

    def test_each_station_has_its_own_half_message(self, bed: NodeBed) -> None:
        """All of them are read into one buffer."""
        one, other, listener = bed.join(), bed.join(), bed.join()
        whole = encode_frame(BINARY, frame(BROADCAST, SECOND, 100))
        one.send(message()[:40])
        other.send(whole[:50])
        one.send(message()[40:])
        other.send(whole[50:])
        assert listener.messages() == [frame(BROADCAST, FIRST), frame(BROADCAST, SECOND, 100)]

    def test_what_comes_counts_as_a_sign_of_life(self, bed: NodeBed) -> None:
        station = bed.join()
        bed.loop.advance(10.0)
        station.send(message()[:3])
        assert station.link.times.heard_s == bed.loop.now()

    def test_large_frames_make_reads_longer_up_to_a_bound(self, bed: NodeBed) -> None:
        recorder = Recorder(bed)
        for _ in range(10):
            recorder.station.send(message(1514) * 600)
        assert recorder.asked[0] == MIN_RECEIVE_BYTES
        assert max(recorder.asked) == MAX_RECEIVE_BYTES

    def test_small_frames_make_them_shorter_again(self, bed: NodeBed) -> None:
        recorder = Recorder(bed)
        for _ in range(10):
            recorder.station.send(message(1514) * 600)
        for _ in range(10):
            recorder.station.send(message(60) * 100)
        assert recorder.asked[-1] == MIN_RECEIVE_BYTES
        assert min(recorder.asked) == MIN_RECEIVE_BYTES

    def test_frames_that_carry_nothing_count_as_small_ones(self, bed: NodeBed) -> None:
        recorder = Recorder(bed)
        for _ in range(10):
            recorder.station.send(message(1514) * 600)
        for _ in range(10):
            recorder.station.send(encode_frame(PONG) * 500)
        assert recorder.asked[-1] < MIN_RECEIVE_BYTES

    def test_what_has_no_bytes_is_read_in_small_bites(self, bed: NodeBed) -> None:
        recorder = Recorder(bed)
        fragments = encode_frame(CONTINUATION, fin=False, mask=None) * 50
        whole = encode_frame(BINARY, fin=False, mask=None) + fragments
        recorder.station.send((whole + encode_frame(CONTINUATION, mask=None)) * 500)
        assert recorder.asked[-1] == LEAST_RECEIVE_BYTES
        for _ in range(10):
            recorder.station.send(message(1514) * 600)
        assert recorder.asked[-1] == MAX_RECEIVE_BYTES, "it may grow again"

    def test_a_ping_is_answered_after_the_frames_before_it(self, bed: NodeBed) -> None:
        station, listener = bed.join(), bed.join()
        station.send(message() + encode_frame(PING, b"hello"))
        assert [(one.opcode, one.payload) for one in station.frames()] == [(PONG, b"hello")]
        assert len(listener.messages()) == 1

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (encode_frame(CLOSE, b"\x03\xe8bye"), 1000, "bye"),
            (encode_frame(CLOSE), None, "closed by the station"),
            (encode_frame(BINARY, b"x", rsv=4), 1002, ""),
            (encode_frame(TEXT, b"hello"), 1003, ""),
            (encode_frame(BINARY, b"", claimed_length=1 << 20), 1009, ""),
        ],
    )
    def test_the_end_is_what_the_decoder_says(
        self, bed: NodeBed, data: bytes, code: int | None, reason: str
    ) -> None:
        station, listener = bed.join(), bed.join()
        station.send(message() + data)
        assert station.link.state is not LinkState.OPEN
        assert [one.close_code for one in station.frames()] == [code]
        assert reason in station.link.reason
        assert len(listener.messages()) == 1, "what came before the end counts"

    def test_a_connection_that_ends_without_a_word(self, bed: NodeBed) -> None:
        station = bed.join()
        station.wire.far.close()
        bed.loop.settle()
        assert station.link.reason == "the connection was closed without a close frame"
        assert station.link.state is LinkState.CLOSED

    def test_a_connection_that_breaks(self, bed: NodeBed) -> None:
        station = bed.join()
        station.wire.break_off()
        bed.loop.settle()
        assert station.link.reason == f"cannot read: {os.strerror(errno.ECONNRESET)}"

    def test_a_message_in_fragments_is_one(self, bed: NodeBed) -> None:
        sender, listener = bed.join(), bed.join()
        whole = frame(BROADCAST, FIRST)
        sender.send(encode_frame(BINARY, whole[:20], fin=False))
        sender.send(encode_frame(PING) + encode_frame(CONTINUATION, whole[20:]))
        assert listener.messages() == [whole]


class Native:
    """A request whose station `native` serves, on a node with a listener."""

    def __init__(self, bed: NodeBed) -> None:
        self.bed = bed
        self.listener = bed.join()
        self.wire = Wire(bed.loop, room_bytes=1 << 20, max_write_bytes=1 << 20)
        self.link: Link | None = None
        self.request = bed.uwsgi.serve(self.application, {}, self.wire.near)

    def application(self, _environ: Any, _start: Any) -> Iterable[bytes]:
        bed = self.bed
        self.link = bed.node.attach(bed.uwsgi.own_connection(), Session())
        bed.node.switch.networks.hear(self.link.port)
        fd = bed.uwsgi.connection()
        receive_native(bed.loop, bed.uwsgi, self.link, fd, bed.node.switch)
        return ()

    def send(self, data: bytes) -> None:
        self.wire.far.send(data)
        self.bed.loop.settle()

    @property
    def reason(self) -> str:
        assert self.link is not None
        return self.link.reason

    def station(self) -> NodeStation:
        assert self.link is not None
        return NodeStation(self.bed.loop, self.wire, self.link)


@pytest.fixture
def native(bed: NodeBed) -> Native:
    return Native(bed)


@pytest.fixture
def batches(bed: NodeBed, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many messages each call of the switch got."""
    sizes: list[int] = []
    receive = bed.node.switch.receive

    def noted(port: Any, messages: Any, now: float) -> int:
        sizes.append(len(messages))
        return receive(port, messages, now)

    monkeypatch.setattr(bed.node.switch, "receive", noted)
    return sizes


class TestNative:
    def test_messages_are_forwarded_together_in_their_order(
        self, native: Native, batches: list[int]
    ) -> None:
        native.send(message(60) + message(61) + message(62))
        assert native.listener.messages() == [frame(BROADCAST, FIRST, 60 + n) for n in range(3)]
        assert batches == [3]

    def test_a_batch_is_bounded_and_the_rest_comes_next(
        self, native: Native, batches: list[int]
    ) -> None:
        native.send(message() * (MAX_BATCH_MESSAGES + 5))
        assert batches == [MAX_BATCH_MESSAGES, 5]

    def test_a_batch_is_bounded_in_bytes_too(self, native: Native, batches: list[int]) -> None:
        count = 2 * MAX_BATCH_BYTES // 1514
        native.send(message(1514) * count)
        assert sum(batches) == count
        assert all((size - 1) * 1514 < MAX_BATCH_BYTES for size in batches)

    def test_others_have_their_turn_between_two_batches(
        self, bed: NodeBed, native: Native, batches: list[int]
    ) -> None:
        turns: list[int] = []
        bed.loop.after(0.0, lambda: turns.append(len(batches)))
        native.send(message() * (3 * MAX_BATCH_MESSAGES))
        assert turns[0] < len(batches) == 3

    def test_a_link_that_ended_while_uwsgi_read_forwards_nothing(
        self, bed: NodeBed, native: Native, batches: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = native.link
        assert link is not None
        receive = bed.uwsgi.receive_message

        def receive_late() -> bytes:
            received = receive()
            link.lose("silent for 75 s")
            return received

        monkeypatch.setattr(bed.uwsgi, "receive_message", receive_late)
        native.send(message())
        assert batches == []
        assert native.listener.messages() == []

    def test_what_comes_counts_as_a_sign_of_life(self, bed: NodeBed, native: Native) -> None:
        bed.loop.advance(10.0)
        native.send(encode_frame(PONG))
        assert native.link is not None
        assert native.link.times.heard_s == bed.loop.now()

    def test_nothing_is_read_while_a_message_is_half_written(
        self, bed: NodeBed, native: Native
    ) -> None:
        """To read is to let uWSGI write: it answers pings, in the midst of our message."""
        native.wire.room_bytes = 100
        bed.join().send(encode_frame(BINARY, frame(BROADCAST, SECOND, 1000)))
        assert len(native.listener.messages()) == 1
        # Room for what the station sends, and still none for what it is sent.
        native.wire.room_bytes = 1000
        native.wire.near.side.outgoing.size_bytes += 900
        native.send(message())
        assert native.listener.messages() == []
        native.wire.near.side.outgoing.size_bytes -= 900
        assert len(native.station().messages()) == 1
        assert native.listener.messages() == [frame(BROADCAST, FIRST)]

    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            (lambda wire: wire.far.close(), "the connection was closed"),
            (lambda wire: wire.break_off(), "the connection was closed"),
            (lambda wire: wire.far.send(encode_frame(CLOSE)), "the connection was closed"),
            (
                lambda wire: wire.far.send(encode_frame(BINARY, b"x", fin=False)),
                "native takes no fragments",
            ),
        ],
    )
    def test_ends_with_its_station(
        self, bed: NodeBed, native: Native, end: Callable[[Wire], object], reason: str
    ) -> None:
        end(native.wire)
        bed.loop.settle()
        assert native.reason == reason
        assert native.request.is_over

    def test_ends_with_its_port(self, bed: NodeBed, native: Native) -> None:
        bed.node.stop()
        bed.loop.settle()
        assert native.request.is_over

    def test_waits_without_turning(self, bed: NodeBed, native: Native, batches: list[int]) -> None:
        bed.loop.advance(WAIT_S + 10.0)
        assert batches == []
        assert not native.request.is_over
