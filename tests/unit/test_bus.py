"""The bus: whose ends are whose, and a trunk that is full, too small or over."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.server.peers.bus import MAX_MESSAGE_BYTES, RECEIVE_BYTES, Bus, TrunkLink
from vpnws.switch.drop import Drop
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.switch.port import AccessPort, Trunk

PLENTY = 10_000_000


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus(3)
    yield made
    for slot in range(3):
        for end in made.ends(slot).values():
            end.close()


class TestEnds:
    def test_every_two_processes_are_joined(self, bus: Bus) -> None:
        for slot in range(3):
            assert set(bus.ends(slot)) == {0, 1, 2} - {slot}
        for one, other in ((0, 1), (0, 2), (1, 2)):
            bus.ends(one)[other].send(b"hello")
            assert bus.ends(other)[one].recv(100) == b"hello"

    def test_messages_stay_whole(self, bus: Bus) -> None:
        for message in (b"one", b"two"):
            bus.ends(0)[1].send(message)
        assert bus.ends(1)[0].recv(100) == b"one"

    def test_a_process_keeps_its_own_alone(self, bus: Bus) -> None:
        others = [*bus.ends(0).values(), *bus.ends(2).values()]
        bus.keep_only(1)
        assert set(bus.ends(1)) == {0, 2}
        assert bus.ends(0) == bus.ends(2) == {}
        assert {end.fileno() for end in others} == {-1}

    def test_no_end_ever_waits(self, bus: Bus) -> None:
        with pytest.raises(BlockingIOError):
            bus.ends(0)[1].recv(1)


class Bed:
    """Two switches whose trunks are links of one pair, and a port at each."""

    def __init__(self, end_buffer_bytes: int = 200_000) -> None:
        self.loop = ManualLoop()
        self.fabric = Fabric()
        self.ports = [self.fabric.attach(slot, egress_limit_bytes=PLENTY) for slot in (0, 1)]
        self.ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in self.ends:
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, end_buffer_bytes)
        self.links: list[TrunkLink] = []
        for slot, switch in enumerate(self.fabric.switches):
            trunk = switch.trunks[1 - slot]
            link = TrunkLink(self.loop, trunk, self.ends[slot], switch)
            trunk.outlet = link
            self.links.append(link)

    @property
    def trunk(self) -> Trunk:
        return self.fabric.switches[0].trunks[1]

    def send(self, *frames: bytes) -> None:
        """Let frames come in at the first process, and write what goes to the second."""
        self.fabric.switches[0].receive(self.ports[0], frames, self.loop.now())

    def received(self, port: AccessPort) -> list[bytes]:
        return port.egress.take(PLENTY, PLENTY, self.loop.now())

    def close(self) -> None:
        self.loop.kill()
        for end in self.ends:
            end.close()


@pytest.fixture
def bed() -> Iterator[Bed]:
    made = Bed()
    yield made
    made.close()


class TestTrunkLink:
    def test_frames_cross_in_their_order(self, bed: Bed) -> None:
        sent = [frame(BROADCAST, mac(1), size) for size in (60, 100, 1514)]
        bed.send(*sent)
        bed.loop.settle()
        assert bed.received(bed.ports[1]) == sent
        assert bed.received(bed.ports[0]) == []

    def test_what_is_ready_together_shares_a_message(self, bed: Bed) -> None:
        bed.send(*[frame(BROADCAST, mac(1), 1000)] * 50)
        assert len(bed.ends[1].recv(RECEIVE_BYTES)) > 50 * 1000
        with pytest.raises(BlockingIOError):
            bed.ends[1].recv(RECEIVE_BYTES)

    def test_no_message_is_longer_than_the_buffer_for_one(self, bed: Bed) -> None:
        bed.send(*[frame(BROADCAST, mac(1), 60_000)] * 4)
        sizes = [len(bed.ends[1].recv(2 * RECEIVE_BYTES)) for _ in range(2)]
        assert sum(sizes) > 4 * 60_000
        assert max(sizes) <= MAX_MESSAGE_BYTES < RECEIVE_BYTES

    def test_when_the_other_process_stands_still_frames_wait_and_then_cross(self, bed: Bed) -> None:
        sent = [frame(BROADCAST, mac(1), 60_000 + number) for number in range(20)]
        for one in sent:
            bed.send(one)
        assert bed.trunk.egress.backed_up
        assert bed.trunk.egress.size_bytes > 0
        bed.loop.settle()
        assert bed.received(bed.ports[1]) == sent
        assert bed.trunk.egress.size_bytes == 0
        assert not bed.trunk.egress.backed_up

    def test_what_the_socket_never_takes_is_dropped_and_counted(self) -> None:
        bed = Bed(end_buffer_bytes=4096)
        bed.send(frame(BROADCAST, mac(1), 60_000), frame(BROADCAST, mac(1), 60))
        bed.loop.settle()
        assert bed.trunk.drops[Drop.DEVICE] >= 1
        bed.send(frame(BROADCAST, mac(1), 61))
        bed.loop.settle()
        assert bed.received(bed.ports[1])[-1:] == [frame(BROADCAST, mac(1), 61)]
        bed.close()

    def test_nothing_is_written_out_of_turn_while_the_socket_is_full(self, bed: Bed) -> None:
        for number in range(20):
            bed.send(frame(BROADCAST, mac(1), 60_000 + number))
        writers = [watcher for watcher in bed.loop.open_watchers() if watcher.for_writing]
        assert len(writers) == 1
        bed.loop.settle()
        assert not [watcher for watcher in bed.loop.open_watchers() if watcher.for_writing]
