"""A station's port moves to another process, wherever its streams are cut, and nobody notices."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.support.fabric import Fabric
from tests.support.frames import frame, ipv4, mac
from tests.support.raw_frames import BINARY, CONTINUATION, PING, encode_frame
from vpnws.server.port.handover import Handover, dump, load
from vpnws.server.port.link import Link
from vpnws.server.port.move import resume, snapshot
from vpnws.server.port.receiver import receive_stream
from vpnws.server.port.session import Session
from vpnws.server.port.state import LinkState
from vpnws.server.web.identity import Identity
from vpnws.switch.format import PLAIN_MESSAGES, RECORDS, Format, for_station
from vpnws.wire import websocket
from vpnws.wire.decoder import Decoder
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.records import PREFIX_BYTES, SUBPROTOCOL, encode_record, split_records

ROOT = Path(__file__).parents[2]
STATION, PEER = mac(1), mac(2)
FORMATS = [PLAIN_MESSAGES, RECORDS]
PLENTY = 1 << 20
UNCUT = PLENTY
"""A socket with room for all there is."""


class Socket(socket.socket):
    """A socket that takes `room_bytes` more and then is full, until it is given room again."""

    room_bytes = UNCUT

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]
        if not self.room_bytes:
            raise BlockingIOError
        sent = super().send(data[: self.room_bytes], flags)
        self.room_bytes -= sent
        return sent


class Process:
    """A process with a switch, another station's port, and a place for a link."""

    def __init__(self, format_: Format) -> None:
        self.fabric = Fabric(slots=1)
        self.loop = ManualLoop()
        self.peer = self.fabric.attach()
        self.fabric.send(self.peer, frame(BROADCAST, PEER))
        self.format = format_
        self.received: list[bytes] = []
        """What came to the peer from the station."""

    def open(self, connection: socket.socket) -> None:
        """Make a port of a new connection."""
        subprotocol = SUBPROTOCOL if self.format is RECORDS else ""
        session = Session(Identity("alice"), subprotocol=subprotocol, announced_mac=STATION)
        self.port = self.fabric.attach(format_=self.format)
        self.link = Link(self.loop, connection, session, self.port, lambda _link: False)
        self._serve()

    def resume(self, connection: socket.socket, handover: Handover) -> None:
        """Go on with a connection of another process."""
        self.fabric._ids = itertools.count(handover.port.id)
        session = handover.link.session
        self.port = self.fabric.attach(
            network=session.network,
            role=session.rights.role,
            format_=for_station(session.subprotocol),
            hears_floods=False,
        )
        resume(handover, self.port)
        for station in handover.port.stations:
            self.fabric.switches[0].announce(self.port, station, self.fabric.now)
        times = handover.link.times
        self.link = Link(self.loop, connection, session, self.port, lambda _link: False, times)
        self._serve()
        self.flush()

    def queue(self, *frames: bytes) -> None:
        """Have the peer send frames, which wait for the station until the link is flushed."""
        self.fabric.send(self.peer, *frames)

    def settle(self) -> None:
        self.loop.settle()
        self.received += self.fabric.received(self.peer)

    def flush(self) -> None:
        self.link.flush(self.loop.now())

    @property
    def stations(self) -> frozenset[bytes]:
        return self.fabric.stations(self.port)

    def _serve(self) -> None:
        receive_stream(self.loop, self.link, self.fabric.switches[0])


@dataclass(frozen=True)
class Outcome:
    """All that anybody outside could tell apart."""

    sent: bytes
    """What the station got."""
    received: tuple[bytes, ...]
    """What the peer got."""
    counters: tuple[object, ...]


@dataclass(frozen=True)
class Case:
    """Where the station's port is when it moves, if it moves."""

    format_: Format
    moves: bool
    heard_bytes: int = 0
    """So much of what the station sends has come."""
    room_bytes: int = UNCUT
    """So much of the first large write has been taken."""
    flushed: bool = True
    """Whether that write has begun at all."""


def run(case: Case) -> Outcome:
    near, station = socket.socketpair()
    station.setblocking(False)
    connection = Socket(fileno=near.detach())
    old = here = Process(case.format_)
    here.open(connection)
    stream = station_stream(case.format_)
    station.send(stream[: case.heard_bytes])
    here.settle()
    here.queue(*(to_station(flow, number) for flow in (1, 2) for number in range(3)))
    connection.room_bytes = case.room_bytes
    if case.flushed:
        here.flush()
    here.queue(*(to_station(flow, number) for flow in (3, 1, 2) for number in range(3, 6)))
    here.link.port.egress.push_control(websocket.encode(websocket.PING, b"waits"))
    if case.moves:
        here = move(here)
    else:
        connection.room_bytes = UNCUT
        here.flush()
    here.settle()
    station.send(stream[case.heard_bytes :])
    here.settle()
    here.queue(to_station(1, 6))
    here.flush()
    here.settle()
    sent = station.recv(PLENTY)
    received = tuple(old.received if here is old else old.received + here.received)
    port = here.port
    queue = port.egress
    counters = (
        port.id, port.rx_frames, port.rx_bytes, port.tx_frames, port.tx_bytes, dict(port.drops),
        queue.counts.marked, queue.backed_up, queue.size_bytes, here.stations, here.link.times,
    )  # fmt: skip
    here.link.lose("the test is over")
    station.close()
    here.loop.check_no_leak()
    return Outcome(sent, received, counters)


def move(old: Process) -> Process:
    """Move the port to another process, as bytes and a descriptor."""
    data = dump(snapshot(old.link, old.stations))
    handed_over = old.link.hand_over()
    descriptor = os.dup(handed_over.fileno())
    handed_over.close()
    old.fabric.detach(old.port)
    old.loop.check_no_leak()
    new = Process(old.format)
    new.resume(socket.socket(fileno=descriptor), load(data))
    return new


def to_station(flow: int, number: int) -> bytes:
    return ipv4(number.to_bytes(20), ports=(flow, 1), macs=STATION + PEER)


def station_stream(format_: Format) -> bytes:
    """Return what the station sends: a message, one in fragments with a ping between, a message."""
    whole = [frame(PEER, STATION, 60 + number) for number in range(5)]
    if format_ is RECORDS:
        whole = [encode_record(one) for one in whole]
        whole = [whole[0] + whole[1], whole[2] + whole[3], whole[4]]
    first, broken, last, *_ = whole
    return b"".join(
        (
            encode_frame(BINARY, first),
            encode_frame(BINARY, broken[:11], fin=False),
            encode_frame(PING, b"between"),
            encode_frame(CONTINUATION, broken[11:30], fin=False),
            encode_frame(CONTINUATION, broken[30:]),
            encode_frame(BINARY, last),
        )
    )


@pytest.mark.parametrize("format_", FORMATS)
class TestCutAnywhere:
    def test_what_the_station_sends(self, format_: Format) -> None:
        length = len(station_stream(format_))
        for heard_bytes in range(length + 1):
            stays = Case(format_, False, heard_bytes, room_bytes=100)
            moves = Case(format_, True, heard_bytes, room_bytes=100)
            assert run(moves) == run(stays), f"after {heard_bytes} bytes"

    def test_what_is_written(self, format_: Format) -> None:
        for room_bytes in range(first_write_bytes(format_) + 1):
            stays = Case(format_, False, 40, room_bytes)
            moves = Case(format_, True, 40, room_bytes)
            assert run(moves) == run(stays), f"after {room_bytes} bytes"

    def test_nothing_is_written_yet(self, format_: Format) -> None:
        stays, moves = (Case(format_, moves, 40, flushed=False) for moves in (False, True))
        assert run(moves) == run(stays)

    def test_everything_comes_and_in_order(self, format_: Format) -> None:
        outcome = run(Case(format_, True, 40, 100))
        decoder = Decoder(PLENTY)
        messages = decoder.feed(outcome.sent)
        assert decoder.ping == b"waits"
        frames = [part_of(one, format_) for message in messages for one in parts(message, format_)]
        assert sorted(frames) == sorted(
            to_station(flow, number) for flow in (1, 2, 3) for number in numbers_of(flow)
        )
        for flow in (1, 2, 3):
            of_flow = [one for one in frames if one[34:36] == flow.to_bytes(2)]
            assert of_flow == [to_station(flow, number) for number in numbers_of(flow)]
        assert len(outcome.received) == (5 if format_ is RECORDS else 3)


def numbers_of(flow: int) -> list[int]:
    return {1: [0, 1, 2, 3, 4, 5, 6], 2: [0, 1, 2, 3, 4, 5], 3: [3, 4, 5]}[flow]


def parts(message: bytes, format_: Format) -> list[bytes]:
    return list(split_records(message)) if format_ is RECORDS else [message]


def part_of(one: bytes, format_: Format) -> bytes:
    return one[PREFIX_BYTES:] if format_ is RECORDS else one


def first_write_bytes(format_: Format) -> int:
    frames = [to_station(flow, number) for flow in (1, 2) for number in range(3)]
    if format_ is PLAIN_MESSAGES:
        return sum(len(websocket.encode_binary(one)) for one in frames)
    return len(websocket.encode_binary(b"".join(map(encode_record, frames))))


def test_a_link_that_was_handed_over_is_closed_and_its_connection_lives() -> None:
    near, station = socket.socketpair()
    here = Process(PLAIN_MESSAGES)
    here.open(near)
    with station, here.link.hand_over() as connection:
        assert here.link.state is LinkState.CLOSED
        assert here.link.connection.fileno() == -1
        here.link.end(websocket.GOING_AWAY, "too late")
        here.link.close()
        connection.send(b"alive")
        assert station.recv(PLENTY) == b"alive"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_real_process_goes_on(format_: Format) -> None:
    """The other process hashes flows with another secret: the order among flows may differ."""
    near, station = socket.socketpair()
    station.settimeout(10)
    connection = Socket(fileno=near.detach())
    here = Process(format_)
    here.open(connection)
    stream = station_stream(format_)
    station.send(stream[:100])
    here.settle()
    here.queue(*(to_station(flow, number) for flow in (1, 2) for number in range(3)))
    connection.room_bytes = 33
    here.flush()
    here.queue(*(to_station(flow, number) for flow in (3, 1, 2) for number in range(3, 6)))
    data = dump(snapshot(here.link, here.stations))
    with here.link.hand_over() as handed_over:
        before = here.received
        descriptor = handed_over.fileno()
        command = [sys.executable, "-m", "tests.unit.test_move", str(descriptor)]
        station.send(stream[100:])
        done = subprocess.run(
            command,
            cwd=ROOT,
            input=data,
            pass_fds=(descriptor,),
            stdout=subprocess.PIPE,
            check=True,
        )
    station.setblocking(False)
    messages = Decoder(PLENTY).feed(station.recv(PLENTY))
    frames = [part_of(one, format_) for message in messages for one in parts(message, format_)]
    wanted = [to_station(flow, number) for flow in (1, 2, 3) for number in numbers_of(flow)]
    wanted.remove(to_station(1, 6))
    assert sorted(frames) == sorted(wanted)
    after = [bytes.fromhex(line) for line in done.stdout.decode().split()]
    assert before + after == list(run(Case(format_, False)).received)
    station.close()


def go_on(descriptor: int) -> None:
    """Be the other process: write what waits, read what comes, and print what the peer gets."""
    handover = load(sys.stdin.buffer.read())
    process = Process(for_station(handover.link.session.subprotocol))
    process.resume(socket.socket(fileno=descriptor), handover)
    process.settle()
    print("\n".join(one.hex() for one in process.received))


if __name__ == "__main__":
    go_on(int(sys.argv[1]))
