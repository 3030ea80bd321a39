"""The forwarding process with offload ports: runs pass as they are, lies do not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fabric import Fabric
from tests.support.frames import UDP, frame, mac
from tests.support.packets import Packet
from vpnws.switch.drop import Drop
from vpnws.switch.format import (
    MESSAGE_BYTES,
    PLAIN_FRAMES,
    PLAIN_MESSAGES,
    RECORDS,
    TAP_RECORDS,
)
from vpnws.switch.guard.destinations import AllowedDestinations, parse_destinations
from vpnws.switch.queue.queue import CONTROL_RESERVE_BYTES
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.records import MAX_PIECE_BYTES, PREFIX_BYTES, encode_record

if TYPE_CHECKING:
    from vpnws.switch.format import Format
    from vpnws.switch.port import AccessPort

FORMATS: tuple[Format, ...] = (RECORDS, RECORDS, PLAIN_FRAMES)
CUT_SHORT = encode_record(frame(mac(2), mac(1)))[:-1]
LIE = bytes((1, 0)) + bytes(8)
"""A checksum is to be completed, at the very beginning of the frame."""


def three(fabric: Fabric, slots: tuple[int, int, int] = (0, 0, 0)) -> list[AccessPort]:
    """Attach an offload station 1, an offload station 2 and a plain station 3, all known."""
    ports = [
        fabric.attach(slot, format_=format_) for slot, format_ in zip(slots, FORMATS, strict=True)
    ]
    for number, (slot, port) in enumerate(zip(slots, ports, strict=True), 1):
        fabric.switches[slot].announce(port, mac(number), fabric.now)
    return ports


def records(*frames: bytes) -> bytes:
    return b"".join(map(encode_record, frames))


@pytest.mark.parametrize("slots", [(0, 0, 0), (0, 1, 1)])
class TestATrain:
    def test_is_passed_on_as_it_is(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, three_ = three(fabric, slots)
        message = records(*(frame(mac(2), mac(1), size) for size in (60, 1500, 14)))
        fabric.send(one, message)
        assert fabric.received(two) == [message]
        assert fabric.received(three_) == []
        assert (one.rx_frames, one.rx_bytes) == (3, 1574)
        assert (two.tx_frames, two.tx_bytes) == (3, 1574)

    def test_ends_where_the_way_changes(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, plain = three(fabric, slots)
        to_two, to_plain = frame(mac(2), mac(1), 100), frame(mac(3), mac(1), 200)
        fabric.send(one, records(to_two, to_two, to_plain, to_plain, to_two))
        assert fabric.received(two) == [records(to_two, to_two), records(to_two)]
        assert fabric.received(plain) == [to_plain, to_plain]

    def test_is_not_ended_by_another_virtio_header(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, _ = three(fabric, slots)
        packet = Packet(payload=bytes(80), macs=mac(2) + mac(1))
        verified = encode_record(packet.frame(), b"\2" + bytes(9))
        message = 5 * (encode_record(packet.partial(), packet.vnet()) + verified)
        fabric.send(one, message)
        assert fabric.received(two) == [message]
        assert two.tx_frames == 10

    def test_is_parted_by_a_lie_and_not_taken_to_pieces(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, _ = three(fabric, slots)
        true = 20 * records(frame(mac(2), mac(1)))
        fabric.send(one, true + encode_record(frame(mac(2), mac(1)), LIE) + true)
        assert fabric.received(two) == [true, true]
        assert (one.drops, one.rx_frames) == ({Drop.OFFLOAD: 1}, 41)

    def test_goes_over_several_messages_in_order(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, _ = three(fabric, slots)
        messages = [records(frame(mac(2), mac(1), size)) for size in range(60, 70)]
        fabric.send(one, *messages)
        assert b"".join(fabric.received(two)) == b"".join(messages)

    def test_that_is_long_is_queued_in_parts(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, _ = three(fabric, slots)
        message = records(*(frame(mac(2), mac(1), 1000) for _ in range(100)))
        fabric.send(one, message)
        items = fabric.received(two)
        assert b"".join(items) == message
        assert max(map(len, items)) <= MAX_PIECE_BYTES

    def test_is_flooded_when_nobody_is_known(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        one, two, plain = three(fabric, slots)
        frames = [frame(BROADCAST, mac(1)), frame(mac(9), mac(1))]
        fabric.send(one, records(*frames))
        assert b"".join(fabric.received(two)) == records(*frames)
        assert fabric.received(plain) == frames

    def test_a_plain_frame_becomes_a_record(self, slots: tuple[int, int, int]) -> None:
        fabric = Fabric()
        _, two, plain = three(fabric, slots)
        sent = frame(mac(2), mac(3))
        fabric.send(plain, sent, sent)
        assert b"".join(fabric.received(two)) == records(sent, sent)


class TestALie:
    @pytest.fixture
    def fabric(self) -> Fabric:
        return Fabric()

    def test_is_dropped_and_its_neighbours_pass(self, fabric: Fabric) -> None:
        one, two, _ = three(fabric)
        good = encode_record(frame(mac(2), mac(1)))
        fabric.send(one, good + encode_record(frame(mac(2), mac(1)), LIE) + good)
        assert b"".join(fabric.received(two)) == good + good
        assert one.drops == {Drop.OFFLOAD: 1}

    @pytest.mark.parametrize(
        "tail", [b"\0", CUT_SHORT, bytes(PREFIX_BYTES) + bytes(60), b"\xff" * 200]
    )
    def test_of_its_length_takes_the_rest_with_it(self, fabric: Fabric, tail: bytes) -> None:
        one, two, _ = three(fabric)
        good = encode_record(frame(mac(2), mac(1)))
        fabric.send(one, good + tail, good)
        assert b"".join(fabric.received(two)) == good + good
        assert one.drops == {Drop.OFFLOAD: 1}

    @pytest.mark.parametrize(("gso_size", "drops"), [(255, {Drop.OFFLOAD: 1}), (256, {})])
    def test_a_record_to_be_cut_fine_is_not_taken(
        self, fabric: Fabric, gso_size: int, drops: dict[Drop, int]
    ) -> None:
        one, _, plain = three(fabric)
        packet = Packet(payload=bytes(2560), macs=mac(3) + mac(1))
        fabric.send(one, encode_record(packet.partial(), packet.vnet(gso_size)))
        assert one.drops == drops
        assert len(fabric.received(plain)) == (0 if drops else 10)

    def test_a_message_of_nothing_is_nothing(self, fabric: Fabric) -> None:
        one, _, _ = three(fabric)
        fabric.send(one, b"")
        assert (one.rx_frames, one.rx_bytes, one.drops) == (0, 0, {})

    def test_a_frame_that_is_too_long_is_dropped_by_its_length(self, fabric: Fabric) -> None:
        one = fabric.attach(format_=RECORDS, max_frame_bytes=1514)
        other = fabric.attach(format_=RECORDS)
        fabric.send(one, records(frame(BROADCAST, mac(1), 1515)))
        assert fabric.received(other) == []
        assert one.drops == {Drop.LENGTH: 1}

    @given(st.binary(max_size=300))
    def test_whatever_comes_is_bounded(self, message: bytes) -> None:
        fabric = Fabric()
        one, two, plain = three(fabric)
        fabric.send(one, message)
        assert sum(one.drops.values()) <= max(1, len(message) // (PREFIX_BYTES + 14) + 1)
        for item in fabric.received(two):
            assert item in message
        fabric.received(plain)


class TestSteps:
    """The other steps of the forwarding process hold for records as for frames."""

    @pytest.fixture
    def fabric(self) -> Fabric:
        return Fabric()

    def test_2_source(self, fabric: Fabric) -> None:
        one, two, _ = three(fabric)
        fabric.send(one, records(frame(mac(2), BROADCAST), frame(mac(2), bytes(6))))
        assert fabric.received(two) == []
        assert one.drops == {Drop.SOURCE: 2}

    def test_2_policy(self, fabric: Fabric) -> None:
        one, two, _ = three(fabric)
        one.destinations = AllowedDestinations(parse_destinations("10.1.0.0/16"))
        allowed = frame(mac(2), mac(1))[:14] + b"\x45" + bytes(15) + b"\x0a\x01\x00\x01"
        refused = frame(mac(2), mac(1))[:14] + b"\x45" + bytes(15) + b"\x0a\x02\x00\x01"
        fabric.send(one, records(allowed, refused, allowed))
        assert b"".join(fabric.received(two)) == records(allowed, allowed)
        assert one.drops == {Drop.NOT_ALLOWED: 1}

    def test_3_reserved(self, fabric: Fabric) -> None:
        one, two, _ = three(fabric)
        fabric.send(one, records(frame(b"\x01\x80\xc2\x00\x00\x00", mac(1))))
        assert fabric.received(two) == []
        assert one.drops == {Drop.RESERVED: 1}

    def test_4_station_limit(self, fabric: Fabric) -> None:
        one = fabric.attach(format_=RECORDS, station_limit=1)
        other = fabric.attach(format_=RECORDS)
        fabric.send(one, records(frame(BROADCAST, mac(1)), frame(BROADCAST, mac(2))))
        assert len(fabric.received(other)) == 1
        assert one.drops == {Drop.STATION_LIMIT: 1}

    def test_5_no_broadcast(self) -> None:
        fabric = Fabric(no_broadcast=True)
        one, two, _ = three(fabric)
        fabric.send(one, records(frame(BROADCAST, mac(1)), frame(BROADCAST, mac(1))))
        assert fabric.received(two) == []
        assert one.drops == {Drop.NO_BROADCAST: 2}

    def test_6_storm_control_counts_what_shares_a_message(self, fabric: Fabric) -> None:
        one = fabric.attach(format_=RECORDS, storm_limit=10)
        other = fabric.attach()
        for _ in range(5):
            fabric.send(one, records(*[frame(BROADCAST, mac(1))] * 4))
        assert len(fabric.received(other)) == 10
        assert one.drops == {Drop.STORM: 10}

    def test_6_storm_control_counts_the_packets_of_a_super_frame(self, fabric: Fabric) -> None:
        one = fabric.attach(format_=RECORDS, storm_limit=10)
        other = fabric.attach()
        packet = Packet(protocol=UDP, payload=bytes(6144), macs=BROADCAST + mac(1))
        record = encode_record(packet.partial(), packet.vnet(512))
        fabric.send(one, record + record)
        assert len(fabric.received(other)) == 12
        assert one.drops == {Drop.STORM: 1}

    def test_7_not_to_where_it_came_from(self, fabric: Fabric) -> None:
        one, _, _ = three(fabric)
        fabric.send(one, records(frame(mac(1), mac(1))))
        assert fabric.received(one) == []
        assert one.drops == {Drop.FILTERED: 1}


class TestFormats:
    def test_records_share_messages_of_a_bounded_length(self) -> None:
        fabric = Fabric()
        one, two, _ = three(fabric)
        sent = [records(frame(mac(2), mac(1), size)) for size in (1000,) * 30 + (40_000, 60, 60)]
        fabric.send(one, *sent)
        two.egress.push_control(b"ping")
        buffers = RECORDS.gather(two.egress, 1 << 20, 512, fabric.now)
        assert buffers[0] == b"ping"
        stream = b"".join(buffers[1:])
        lengths, content = [], b""
        while stream:
            head = {126: 4, 127: 10}.get(stream[1], 2)
            length = int.from_bytes(stream[2:head], "big") or stream[1]
            lengths.append(length)
            content += stream[head : head + length]
            stream = stream[head + length :]
        assert content == b"".join(sent)
        assert [length > MESSAGE_BYTES for length in lengths] == [False, False, True, False]
        assert len(lengths) == 4

    @pytest.mark.parametrize("format_", [RECORDS, PLAIN_MESSAGES])
    def test_many_control_messages_are_one_buffer(self, format_: Format) -> None:
        """A write takes 1024 buffers and not one more, and there may be 2,000 empty pongs."""
        fabric = Fabric()
        port = fabric.attach(format_=format_)
        while port.egress.push_control(b"\x8a\0"):
            pass
        fabric.send(fabric.attach(), *[frame(BROADCAST, mac(1))] * 600)
        buffers = format_.gather(port.egress, 1 << 20, 512, fabric.now)
        assert len(buffers) <= 512
        assert len(buffers[0]) == CONTROL_RESERVE_BYTES

    def test_a_tap_gets_each_record_by_itself(self) -> None:
        fabric = Fabric()
        one = fabric.attach(format_=RECORDS)
        tap = fabric.attach(format_=TAP_RECORDS)
        fabric.switches[0].announce(tap, mac(2), fabric.now)
        frames = [frame(mac(2), mac(1), size) for size in (60, 61)]
        fabric.send(one, records(*frames))
        written = TAP_RECORDS.gather(tap.egress, 1 << 20, 512, fabric.now)
        assert written == [records(each) for each in frames]
