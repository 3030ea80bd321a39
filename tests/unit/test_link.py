"""A station's link on a real socket: its states, its writes, its life and its end."""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.server.port.link import (
    BITE_BYTES,
    JOIN_BYTES,
    LINGER_S,
    Link,
)
from vpnws.server.port.session import Session
from vpnws.server.port.state import TRANSITIONS, LinkEvent, LinkState, LinkStateError
from vpnws.sizes import WRITE_BYTES
from vpnws.switch.format import PLAIN_MESSAGES, RECORDS
from vpnws.wire import websocket
from vpnws.wire.decoder import Decoder
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.websocket import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.switch.format import Format

PING_EVERY_S = 25.0
DEAD_AFTER_S = 75.0
PLENTY = 1 << 20


class Bed:
    """A link of a port, the station's end of its connection, and another port that sends."""

    def __init__(self, format_: Format = PLAIN_MESSAGES, session: Session | None = None) -> None:
        self.fabric = Fabric()
        self.loop = ManualLoop()
        self.sender = self.fabric.attach()
        self.port = self.fabric.attach(format_=format_)
        near, self.station = socket.socketpair()
        self.station.setblocking(False)
        self.may_linger = True
        self.ended: list[str] = []
        self.link = Link(self.loop, near, session or Session(), self.port, self.on_end)

    def on_end(self, link: Link) -> bool:
        assert link is self.link
        self.ended.append(link.reason)
        return self.may_linger

    def send(self, count: int = 1, size: int = 1400) -> None:
        """Queue frames for the station, and flush."""
        self.fabric.send(self.sender, *[frame(BROADCAST, mac(1), size)] * count)
        self.link.flush(self.loop.now())

    def fill(self) -> None:
        """Queue frames until the socket is full in the midst of a message."""
        while not self.port.egress.begun:
            self.send()

    def heard(self) -> bytes:
        """Return what the station can read now."""
        out = b""
        try:
            while data := self.station.recv(PLENTY):
                out += data
        except BlockingIOError:
            pass
        return out

    def is_hung_up(self) -> bool:
        """Return whether the station has read everything up to the end of the stream."""
        self.heard()
        try:
            return self.station.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.link.lose("the test is over")
        self.link.close()
        self.station.close()
        self.loop.check_no_leak()


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.close()


def to_open(_bed: Bed) -> None:
    """Leave the link as it begins."""


def to_lingering(bed: Bed) -> None:
    bed.link.end(websocket.GOING_AWAY, "first")


def to_closed(bed: Bed) -> None:
    bed.link.lose("first")


def end(link: Link) -> None:
    link.end(websocket.GOING_AWAY, "second")


def answer_close(link: Link) -> None:
    link.answer_close(Ending(websocket.NORMAL, "", by_peer=True))


def lose(link: Link) -> None:
    link.lose("second")


def hand_over(link: Link) -> None:
    link.hand_over().close()


WAYS: dict[LinkState, Callable[[Bed], None]] = {
    LinkState.OPEN: to_open,
    LinkState.LINGERING: to_lingering,
    LinkState.CLOSED: to_closed,
}
DOERS: dict[LinkEvent, Callable[[Link], None]] = {
    LinkEvent.END: end,
    LinkEvent.ANSWER_CLOSE: answer_close,
    LinkEvent.LOSE: lose,
    LinkEvent.HAND_OVER: hand_over,
    LinkEvent.CLOSE: Link.close,
}
ENDINGS = {LinkEvent.END, LinkEvent.ANSWER_CLOSE, LinkEvent.LOSE}
"""What ends the port; where another ending came first it does nothing."""


class TestStates:
    @pytest.mark.parametrize(
        ("state", "event"),
        list(itertools.product(LinkState, LinkEvent)),
        ids=lambda member: member.value,
    )
    def test_every_event_in_every_state(self, bed: Bed, state: LinkState, event: LinkEvent) -> None:
        WAYS[state](bed)
        assert bed.link.state is state
        after = TRANSITIONS.get((state, event))
        is_late = event in ENDINGS or (state, event) == (LinkState.CLOSED, LinkEvent.CLOSE)
        if after is not None:
            DOERS[event](bed.link)
            assert bed.link.state is after
        elif is_late:
            DOERS[event](bed.link)
            assert bed.link.state is state
        else:
            with pytest.raises(LinkStateError):
                DOERS[event](bed.link)
            assert bed.link.state is state
        if state is LinkState.OPEN:
            assert bed.ended == ([bed.link.reason] if event in ENDINGS else [])
        else:
            assert bed.ended == ["first"]

    @pytest.mark.parametrize(
        ("state", "event"),
        [pair for pair in itertools.product(LinkState, LinkEvent) if pair not in TRANSITIONS],
        ids=lambda member: member.value,
    )
    def test_what_the_table_does_not_have_is_refused(
        self, bed: Bed, state: LinkState, event: LinkEvent
    ) -> None:
        WAYS[state](bed)
        with pytest.raises(LinkStateError, match=event.value):
            bed.link._move(event)
        assert bed.link.state is state

    def test_every_state_is_reached_and_only_closed_is_the_last(self) -> None:
        assert set(TRANSITIONS.values()) == {LinkState.LINGERING, LinkState.CLOSED}
        assert {state for state, _ in TRANSITIONS} == {LinkState.OPEN, LinkState.LINGERING}


class TestEnd:
    def test_sends_a_close_frame_and_waits_for_the_answer(self, bed: Bed) -> None:
        bed.link.end(websocket.GOING_AWAY, "tired")
        assert bed.heard() == websocket.encode(
            websocket.CLOSE, websocket.close_payload(websocket.GOING_AWAY, "tired")
        )
        bed.station.send(b"still underway")
        bed.loop.settle()
        assert not bed.link.lingered(bed.loop.now())
        bed.station.shutdown(socket.SHUT_WR)
        bed.loop.settle()
        assert bed.link.state is LinkState.CLOSED
        assert bed.link.lingered(bed.loop.now())

    def test_does_not_wait_for_ever(self, bed: Bed) -> None:
        bed.link.end(websocket.GOING_AWAY, "tired")
        bed.loop.advance(LINGER_S - 0.01)
        assert not bed.link.lingered(bed.loop.now())
        bed.loop.advance(0.01)
        assert bed.link.lingered(bed.loop.now())
        assert bed.is_hung_up()

    def test_where_there_is_no_room_to_linger_it_closes_at_once(self, bed: Bed) -> None:
        bed.may_linger = False
        bed.link.end(websocket.GOING_AWAY, "tired")
        assert bed.link.state is LinkState.CLOSED
        assert bed.heard().endswith(b"tired")
        assert bed.is_hung_up()

    def test_the_close_frame_stands_behind_a_message_half_written(self, bed: Bed) -> None:
        bed.fill()
        whole = bed.heard()
        bed.link.end(websocket.GOING_AWAY, "tired")
        decoder = Decoder(PLENTY)
        messages = decoder.feed(whole + bed.heard())
        assert set(messages) == {frame(BROADCAST, mac(1), 1400)}
        assert decoder.ending == Ending(websocket.GOING_AWAY, "tired", by_peer=True)

    def test_with_a_socket_that_takes_nothing_it_closes_at_once(self, bed: Bed) -> None:
        bed.fill()
        bed.link.end(websocket.GOING_AWAY, "tired")
        assert bed.link.state is LinkState.CLOSED

    def test_a_station_that_closes_gets_its_code_back(self, bed: Bed) -> None:
        bed.link.answer_close(Ending(4000, "bye", by_peer=True))
        assert bed.ended == ["bye"]
        assert bed.heard() == websocket.encode(websocket.CLOSE, (4000).to_bytes(2, "big"))
        assert bed.is_hung_up()

    def test_a_station_that_gives_no_reason_is_in_the_log_all_the_same(self, bed: Bed) -> None:
        bed.link.answer_close(Ending(websocket.NO_STATUS, "", by_peer=True))
        assert bed.ended == ["closed by the station"]
        assert bed.heard() == websocket.encode(websocket.CLOSE, b"")

    def test_a_connection_that_broke_gets_no_close_frame(self, bed: Bed) -> None:
        bed.link.lose("it broke")
        assert bed.heard() == b""
        assert bed.is_hung_up()
        assert bed.ended == ["it broke"]

    def test_a_station_that_is_gone_ends_the_link_at_the_next_write(self, bed: Bed) -> None:
        bed.station.close()
        bed.send()
        assert bed.link.state is LinkState.CLOSED
        assert bed.ended == ["cannot write: Broken pipe"]

    def test_nothing_is_written_after_the_end(self, bed: Bed) -> None:
        bed.link.end(websocket.GOING_AWAY, "tired")
        bed.heard()
        bed.send()
        bed.link.send_control(websocket.PONG, b"late", bed.loop.now())
        assert bed.heard() == b""
        assert bed.link.state is LinkState.LINGERING

    def test_a_link_that_its_first_write_has_ended_is_not_read(self, bed: Bed) -> None:
        bed.station.close()
        bed.send()
        assert bed.link.state is LinkState.CLOSED
        bed.link.read_with(lambda: None)
        bed.loop.check_no_leak()


class TestDescriptor:
    @pytest.mark.parametrize("event", [LinkEvent.LOSE, LinkEvent.ANSWER_CLOSE, LinkEvent.HAND_OVER])
    def test_nothing_reaches_the_socket_that_gets_the_number_next(
        self, bed: Bed, event: LinkEvent
    ) -> None:
        bed.fill()
        number = bed.link.connection.fileno()
        DOERS[event](bed.link)
        heir, other = reopened(number)
        with heir, other:
            other.setblocking(False)
            bed.send(3)
            bed.link.send_control(websocket.PING, b"", bed.loop.now())
            bed.link._write(bed.loop.now())
            bed.loop.settle()
            bed.link.close()
            with pytest.raises(BlockingIOError):
                other.recv(1)
            heir.send(b"alive")
            assert other.recv(9) == b"alive"

    def test_a_closed_connection_raises_instead_of_writing(self, bed: Bed) -> None:
        number = bed.link.connection.fileno()
        bed.link.connection.close()
        heir, other = reopened(number)
        with heir, other:
            other.setblocking(False)
            bed.send()
            assert bed.ended == ["cannot write: Bad file descriptor"]
            with pytest.raises(BlockingIOError):
                other.recv(1)


def reopened(number: int) -> tuple[socket.socket, socket.socket]:
    """Return a new pair of sockets of which the first has descriptor `number`."""
    one, other = socket.socketpair()
    if one.fileno() != number and other.fileno() != number:
        os.dup2(one.fileno(), number)
        one.close()
        one = socket.socket(fileno=number)
    return (one, other) if one.fileno() == number else (other, one)


class TestWrite:
    @pytest.mark.parametrize("format_", [PLAIN_MESSAGES, RECORDS])
    def test_the_queue_is_by_flow_for_as_long_as_the_socket_is_full(self, format_: Format) -> None:
        bed = Bed(format_)
        bed.fill()
        egress = bed.port.egress
        assert egress.backed_up
        emptied = 0
        for _ in range(50):
            bed.send(12)
            bed.station.recv(8192)
            bed.link._write(bed.loop.now())
            if egress.begun:
                assert egress.backed_up
                emptied += egress.size_bytes == sum(map(len, egress.rest))
        assert emptied, "never was all taken, and some of it not written"
        while egress.waiting:
            bed.heard()
            bed.loop.settle()
        assert not egress.backed_up
        bed.close()

    def test_goes_on_when_the_socket_is_not_full_any_more(self, bed: Bed) -> None:
        bed.fill()
        bed.send(30)
        stream = b""
        while bed.port.egress.waiting:
            stream += bed.heard()
            bed.loop.settle()
        stream += bed.heard()
        messages = Decoder(PLENTY).feed(stream)
        assert len(messages) == bed.port.tx_frames
        assert set(messages) == {frame(BROADCAST, mac(1), 1400)}
        bed.send()
        assert bed.heard()

    def test_a_control_frame_overtakes_frames_and_not_a_message_half_written(
        self, bed: Bed
    ) -> None:
        bed.fill()
        bed.send(30)
        bed.link.send_control(websocket.PONG, b"overtakes", bed.loop.now())
        written = bed.heard()
        bed.loop.settle()
        pong = websocket.encode(websocket.PONG, b"overtakes")
        later = bed.heard()
        rest, _, after = later.partition(pong)
        assert len(rest) < BITE_BYTES
        before = Decoder(PLENTY).feed(written + rest)
        assert before[-1] == frame(BROADCAST, mac(1), 1400)
        while bed.port.egress.waiting:
            bed.loop.settle()
            after += bed.heard()
        assert len(before) + len(Decoder(PLENTY).feed(after)) == bed.port.tx_frames

    @pytest.mark.parametrize("size_bytes", [1, JOIN_BYTES, JOIN_BYTES + 1, WRITE_BYTES])
    def test_many_buffers_are_written_in_order(self, bed: Bed, size_bytes: int) -> None:
        bed.link.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        stream = bytes(number % 251 for number in range(size_bytes))
        for at in range(0, size_bytes, 1000):
            item = stream[at : at + 1000]
            bed.port.egress.push([item], 1, len(item), bed.loop.now())
        bed.link.flush(bed.loop.now())
        got = bed.heard()
        while bed.port.egress.waiting:
            bed.loop.settle()
            got += bed.heard()
        assert got == stream


class TestLife:
    def test_a_quiet_station_is_pinged_once_a_period(self, bed: Bed) -> None:
        ping = websocket.encode(websocket.PING, b"vpnws")
        heard = []
        for _ in range(60):
            bed.loop.advance(1.0)
            bed.link.watch_over(bed.loop.now(), PING_EVERY_S, DEAD_AFTER_S)
            heard.append(bed.heard())
        assert [second for second, data in enumerate(heard, 1) if data] == [25, 50]
        assert set(heard) == {b"", ping}

    def test_a_silent_station_is_ended(self, bed: Bed) -> None:
        bed.loop.advance(DEAD_AFTER_S)
        bed.link.times.wrote_s = bed.loop.now()
        bed.link.watch_over(bed.loop.now(), PING_EVERY_S, DEAD_AFTER_S)
        assert bed.ended == ["silent for 75 s"]
        assert bed.link.state is LinkState.LINGERING

    def test_one_that_answers_no_pings_gets_none_and_lives_while_it_takes_what_we_write(
        self,
    ) -> None:
        bed = Bed(session=Session(answers_pings=False))
        for _ in range(3):
            bed.loop.advance(DEAD_AFTER_S - 1.0)
            bed.send()
            assert bed.heard()
            bed.link.watch_over(bed.loop.now(), PING_EVERY_S, DEAD_AFTER_S)
            assert bed.link.state is LinkState.OPEN
            assert not bed.heard()
        bed.loop.advance(DEAD_AFTER_S)
        bed.link.watch_over(bed.loop.now(), PING_EVERY_S, DEAD_AFTER_S)
        assert bed.link.state is LinkState.LINGERING
        bed.close()
