"""Floods are copied in turns: what one turn may do, who is next, what may wait and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from tests.support.node_bed import NodeBed
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.switch.drop import Drop
from vpnws.switch.floods import (
    FRAMES_PER_WRITE,
    MAX_SOURCE_BYTES,
    MAX_TURN_WRITES,
    MAX_WAIT_S,
    MAX_WAITING_BYTES,
)
from vpnws.switch.format import RECORDS
from vpnws.switch.guard.claims import OWN
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.record_train import read_records
from vpnws.wire.records import encode_record

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

MANY = 2 * MAX_TURN_WRITES + 10
"""Ports that one turn cannot write to."""


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(1)


@pytest.fixture
def crowd(fabric: Fabric) -> list[AccessPort]:
    return [fabric.attach() for _ in range(MANY)]


def flood(number: int, mark: bytes = b"") -> bytes:
    return frame(BROADCAST, mac(number)) + mark


def reached(fabric: Fabric, crowd: list[AccessPort]) -> list[list[bytes]]:
    return [fabric.received(port) for port in crowd]


class TestTurns:
    def test_a_turn_makes_a_bounded_number_of_copies_and_the_rest_follows(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        sender = fabric.attach()
        fabric.receive(sender, flood(1))
        copies = [reached(fabric, crowd)]
        while fabric.flood():
            copies.append(reached(fabric, crowd))
        copies.append(reached(fabric, crowd))
        assert len(copies) > 2
        assert all(sum(map(len, turn)) <= MAX_TURN_WRITES for turn in copies)
        assert [sum(map(len, of_port)) for of_port in zip(*copies, strict=True)] == [1] * MANY

    def test_a_long_train_is_as_many_writes_as_it_costs(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        sender = fabric.attach()
        fabric.receive(sender, *[flood(1)] * (15 * FRAMES_PER_WRITE))
        assert sum(map(bool, reached(fabric, crowd))) == MAX_TURN_WRITES // 16

    def test_known_unicast_does_not_wait_for_floods(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        sender, known = fabric.attach(), crowd[-1]
        fabric.send(known, frame(mac(1), mac(2)))
        fabric.received(sender)
        sent = frame(mac(2), mac(1))
        fabric.receive(sender, *[flood(1)] * 1000, sent)
        assert fabric.received(known) == [sent]

    def test_a_small_network_is_flooded_at_once_and_in_order(self, fabric: Fabric) -> None:
        sender, one, other = fabric.attach(), fabric.attach(), fabric.attach()
        sent = [flood(1, bytes((number,))) for number in range(100)]
        fabric.receive(sender, *sent)
        assert fabric.received(one) == fabric.received(other) == sent

    def test_sources_take_turns_and_each_keeps_its_order(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        loud, quiet = fabric.attach(), fabric.attach()
        sent = [frame(BROADCAST, mac(1)) + bytes((each,)) for each in range(20)]
        for each in sent:
            fabric.receive(loud, each)
        asked = flood(2, b"who has")
        fabric.receive(quiet, asked)
        while fabric.flood():
            pass
        got = fabric.received(crowd[-1])
        assert [each for each in got if each != asked] == sent
        assert got.index(asked) <= 2

    def test_on_a_trunk_each_station_is_a_source(self) -> None:
        fabric = Fabric(2)
        crowd = [fabric.attach(1) for _ in range(MANY)]
        loud, quiet = fabric.attach(0), fabric.attach(0)
        asked = flood(2, b"who has")
        fabric.receive(loud, *[flood(1), frame(b"\x03" + bytes(5), mac(1))] * 20)
        fabric.receive(quiet, asked)
        while fabric.cross() or fabric.flood():
            pass
        assert fabric.received(crowd[-1]).index(asked) <= 2

    def test_behind_a_tap_each_host_is_a_source(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        tap = fabric.attach(claim=OWN)
        asked = flood(2, b"who has")
        fabric.receive(tap, *[flood(1), frame(b"\x03" + bytes(5), mac(1))] * 20, asked)
        while fabric.flood():
            pass
        assert fabric.received(crowd[-1]).index(asked) <= 2

    def test_the_node_goes_on_by_itself(self) -> None:
        bed = NodeBed(storm_limit=0)
        stations = [bed.join() for _ in range(MAX_TURN_WRITES + 44)]
        stations[0].send(encode_frame(BINARY, flood(1)) * 3)
        assert all(len(station.messages()) == 3 for station in stations[1:])


class TestBounds:
    def test_a_source_has_room_for_so_much_and_others_have_theirs(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        loud, quiet = fabric.attach(), fabric.attach()
        count = MAX_SOURCE_BYTES // 1000
        for _ in range(count):
            fabric.receive(loud, frame(BROADCAST, mac(1), 1000))
        fabric.receive(quiet, flood(2))
        assert 0 < loud.drops[Drop.FLOOD_QUEUE] < count
        got = 0
        while fabric.flood():
            got += len(fabric.received(crowd[-1]))
        got += len(fabric.received(crowd[-1]))
        assert got == count - loud.drops[Drop.FLOOD_QUEUE] + 1
        assert quiet.drops[Drop.FLOOD_QUEUE] == 0

    def test_all_sources_together_have_a_bound(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        count = MAX_WAITING_BYTES // 65_000 + 10
        loud = [fabric.attach() for _ in range(count)]
        for number, port in enumerate(loud):
            fabric.receive(port, frame(BROADCAST, mac(number + 1), 65_000))
        assert sum(port.drops[Drop.FLOOD_QUEUE] for port in loud) in range(5, 20)

    def test_many_that_flood_leave_room_for_one_who_asks(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        loud = [fabric.attach() for _ in range(2 * MAX_WAITING_BYTES // MAX_SOURCE_BYTES)]
        full = [frame(BROADCAST, mac(number + 1), 1514) for number in range(len(loud))]
        for _ in range(MAX_SOURCE_BYTES // 1514):
            for port, sent in zip(loud, full, strict=True):
                fabric.receive(port, sent)
        assert all(port.drops[Drop.FLOOD_QUEUE] for port in loud)
        quiet = [fabric.attach() for _ in range(100)]
        for number, port in enumerate(quiet):
            fabric.receive(port, flood(1000 + number))
        assert not any(port.drops[Drop.FLOOD_QUEUE] for port in quiet)

    def test_what_has_waited_too_long_is_dropped(
        self, fabric: Fabric, crowd: list[AccessPort]
    ) -> None:
        sender = fabric.attach()
        fabric.receive(sender, flood(1))
        fabric.receive(sender, flood(1))
        fabric.now += MAX_WAIT_S + 0.1
        while fabric.flood():
            pass
        assert [len(got) for got in reached(fabric, crowd)] == [1] * MANY, "what began is finished"
        assert sender.drops[Drop.FLOOD_QUEUE] == 1

    def test_the_network_may_go_meanwhile(self, fabric: Fabric) -> None:
        crowd = [fabric.attach(network="blue") for _ in range(MANY)]
        sender = crowd[0]
        fabric.receive(sender, flood(1))
        fabric.receive(sender, flood(1))
        for port in crowd:
            fabric.detach(port)
        while fabric.flood():
            pass
        fabric.send(fabric.attach(), flood(1))

    def test_a_train_that_waits_keeps_no_message(self) -> None:
        records = [encode_record(flood(1)), encode_record(frame(mac(2), mac(1), 1000))]
        message = b"".join(records)
        train = next(iter(read_records((message, records[1]))))
        kept = train.detached()
        assert kept.records() == train.records() == [records[0]]
        assert (kept.count, kept.size_bytes) == (train.count, train.size_bytes)
        assert all(len(span[0]) < len(message) for span in kept._spans)  # type: ignore[attr-defined]


def test_records_wait_as_they_came(fabric: Fabric) -> None:
    crowd = [fabric.attach(format_=RECORDS) for _ in range(MANY)]
    sender = fabric.attach(format_=RECORDS)
    record = encode_record(flood(1))
    fabric.send(sender, record * 3)
    assert [b"".join(got) for got in reached(fabric, crowd)] == [record * 3] * MANY
