"""The pump on vpnws.offload.1: records join into messages, and only true ones reach the TAP."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pump_bed import MTU, Bed, binary, frame
from tests.support.waiting import wait_for
from vpnws.client.carry.counters import ClientDrop, Counters
from vpnws.client.carry.masking import HEAD_ROOM_BYTES, encode_masked_room
from vpnws.client.carry.records import MESSAGE_BYTES, RecordCarrier
from vpnws.client.carry.texts import MAX_NOTICES, MAX_TEXTS, Texts, ignore
from vpnws.sizes import TURN_BYTES
from vpnws.tap.memory import MemoryTap
from vpnws.wire.decoder import BorrowingDecoder, Decoder
from vpnws.wire.offload import GSO_TCPV4, NEEDS_CSUM, VNET, is_sound
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES, decode_records, encode_record
from vpnws.wire.websocket import BINARY, encode, encode_masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.frames import Frame

WAIT_S = 5.0
LONGEST = MTU + 22
QUEUED = 7
"""So many datagrams a socket holds before somebody reads."""


def super_frame(payload_bytes: int, gso_bytes: int = 1448) -> tuple[bytes, bytes]:
    """Return the virtio header and the frame of a TCP super-frame, as a kernel hands it out."""
    packet = 20 + 20 + payload_bytes
    ip = bytes.fromhex("4500") + packet.to_bytes(2, "big") + bytes.fromhex("000040004006")
    addresses = bytes.fromhex("0a0800010a080002")
    tcp = bytes.fromhex("c000145100000001000000015010ffff") + bytes(4)
    start = bytes.fromhex("02000000000b02000000000a0800")
    data = start + ip + b"\0\0" + addresses + tcp + bytes(payload_bytes)
    return VNET.pack(NEEDS_CSUM, GSO_TCPV4, 54, gso_bytes, 34, 16), data


@pytest.fixture
def bed() -> Iterator[Bed]:
    made = Bed(has_offload=True)
    yield made
    made.close()


def records(frames: list[Frame]) -> list[list[tuple[bytes, bytes]]]:
    """Return each message's records."""
    return [list(decode_records(message)) for message in binary(frames)]


def sent(bed: Bed, count: int) -> list[list[tuple[bytes, bytes]]]:
    """Return the messages that the next `count` records came in."""
    messages: list[list[tuple[bytes, bytes]]] = []
    while sum(map(len, messages)) < count:
        messages += records(bed.far.frames(1))
    return messages


class TestToTheServer:
    def test_frames_become_records_in_order_and_share_messages(self, bed: Bed) -> None:
        frames = [frame(number, 60 + 4 * number) for number in range(200)]
        for one in frames[:QUEUED]:
            bed.tap.host_send(one)
        bed.start()
        for one in frames[QUEUED:]:
            bed.tap.host_send(one)
        messages = sent(bed, 200)
        assert [record for message in messages for record in message] == [
            (NOTHING_TO_DO, one) for one in frames
        ]
        assert len(messages[0]) == 1
        assert len(messages[1]) >= QUEUED - 1
        assert bed.counters.frames_sent == 200

    def test_a_message_of_several_records_fills_one_tls_record_and_no_more(self, bed: Bed) -> None:
        for number in range(QUEUED):
            bed.tap.host_send(frame(number, 3000))
        bed.start()
        messages = sent(bed, QUEUED)
        assert [len(message) for message in messages] == [1, 5, 1]
        assert 5 * 3014 <= MESSAGE_BYTES < 6 * 3014

    def test_a_super_frame_goes_alone_with_its_header(self, bed: Bed) -> None:
        vnet, data = super_frame(60000)
        bed.start()
        bed.tap.host_send(frame(1))
        bed.tap.host_send(data, vnet)
        bed.tap.host_send(frame(2))
        messages = sent(bed, 3)
        assert [(vnet, data)] in messages
        assert [record for message in messages for record in message] == [
            (NOTHING_TO_DO, frame(1)),
            (vnet, data),
            (NOTHING_TO_DO, frame(2)),
        ]

    def test_what_the_other_end_would_not_take_is_cut_up_here(self, bed: Bed) -> None:
        vnet, data = super_frame(60000, gso_bytes=200)
        assert not is_sound(vnet, data, 0, len(data), LONGEST)
        bed.tap.host_send(data, vnet)
        bed.start()
        got = [record for message in sent(bed, 300) for record in message]
        assert {header for header, _ in got} == {NOTHING_TO_DO}
        assert b"".join(packet[54:] for _, packet in got) == bytes(60000)
        assert not bed.counters.drops

    def test_what_nobody_would_take_is_counted(self, bed: Bed) -> None:
        bed.tap.host_send(frame(1), VNET.pack(NEEDS_CSUM, GSO_TCPV4, 54, 1448, 34, 16))
        bed.tap.host_send(frame(2))
        bed.start()
        assert sent(bed, 1) == [[(NOTHING_TO_DO, frame(2))]]
        assert bed.counters.drops == {ClientDrop.RECORD: 1}

    def test_the_tap_is_not_read_while_the_server_takes_nothing(self, bed: Bed) -> None:
        vnet, data = super_frame(40000)
        bed.start()
        count = len(bed.fill(data, vnet))
        assert 0 < bed.counters.frames_sent < count
        assert 0 < bed.connection.unsent_bytes < TURN_BYTES + 2 * len(data)
        assert sum(map(len, sent(bed, count))) == count


class TestFromTheServer:
    def test_records_become_frames_with_their_headers(self, bed: Bed) -> None:
        vnet, data = super_frame(20000)
        bed.start()
        bed.far.send(encode_record(frame(1)) + encode_record(data, vnet) + encode_record(frame(2)))
        assert bed.received() == NOTHING_TO_DO + frame(1)
        assert bed.received() == vnet + data
        assert bed.received() == NOTHING_TO_DO + frame(2)

    @pytest.mark.parametrize(
        "record",
        [
            encode_record(frame(1), VNET.pack(NEEDS_CSUM, 0, 0, 0, 34, 6)),
            encode_record(super_frame(20000)[1], VNET.pack(0, 1, 54, 1448, 34, 16)),
        ],
    )
    def test_a_record_that_lies_is_dropped_and_counted(self, bed: Bed, record: bytes) -> None:
        bed.start()
        bed.far.send(record + encode_record(frame(7)))
        assert bed.received() == NOTHING_TO_DO + frame(7)
        assert bed.counters.drops == {ClientDrop.RECORD: 1}

    @pytest.mark.parametrize(
        "record",
        [
            encode_record(bytes(MTU + 23)),
            encode_record(super_frame(20000)[1], VNET.pack(1, 1, 54, 9000, 34, 16)),
        ],
    )
    def test_a_record_too_long_for_the_mtu_is_counted_and_told_once(
        self, bed: Bed, record: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.start()
        bed.far.send(record + record + encode_record(frame(7)))
        assert bed.received() == NOTHING_TO_DO + frame(7)
        assert bed.counters.drops == {ClientDrop.OVERSIZE: 2}
        (told,) = caplog.messages
        assert "longer than the MTU of tap9 allows" in told

    @pytest.mark.parametrize("cut", [1, 13, 14, 40])
    def test_a_record_cut_short_is_dropped_and_counted(self, bed: Bed, cut: int) -> None:
        bed.start()
        bed.far.send(encode_record(frame(6)) + encode_record(frame(8))[:cut])
        bed.far.send(encode_record(frame(7)))
        assert bed.received() == NOTHING_TO_DO + frame(6)
        assert bed.received() == NOTHING_TO_DO + frame(7)
        assert bed.counters.drops == {ClientDrop.RECORD: 1}

    def test_of_empty_records_only_the_first_is_looked_at(self, bed: Bed) -> None:
        bed.start()
        bed.far.send(bytes(14) * 9000)
        bed.far.send(encode_record(frame(7)))
        assert bed.received() == NOTHING_TO_DO + frame(7)
        assert bed.counters.drops == {ClientDrop.RECORD: 1}

    def test_a_fragmented_message_is_cut_into_records_too(self, bed: Bed) -> None:
        bed.start()
        whole = encode_record(frame(1)) + encode_record(frame(2))
        bed.far.protocol.send_binary(whole[:50], fin=False)
        bed.far.protocol.send_continuation(whole[50:], fin=True)
        bed.far.flush()
        assert bed.received() == NOTHING_TO_DO + frame(1)
        assert bed.received() == NOTHING_TO_DO + frame(2)

    def test_text_does_not_end_the_connection(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        bed.start()
        for text in (b"{", b'{"notice": "we close\\nat 5"}', b'{"later": [1]}'):
            bed.far.protocol.send_text(text)
        bed.far.send(encode_record(frame(7)))
        assert bed.received() == NOTHING_TO_DO + frame(7)
        wait_for(lambda: caplog.messages, WAIT_S, "the notice to be shown")
        assert caplog.messages == ["the server says: we close?at 5"]


class TestTexts:
    def shown(self, caplog: pytest.LogCaptureFixture, texts: list[str]) -> list[str]:
        caplog.set_level(logging.INFO)
        Texts(ignore).take(texts)
        return [message.removeprefix("the server says: ") for message in caplog.messages]

    def test_the_same_is_shown_once(self, caplog: pytest.LogCaptureFixture) -> None:
        assert self.shown(caplog, ['{"notice": "a"}'] * 3) == ["a"]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",
            "[]",
            "null",
            '{"notice": 5}',
            "{",
            "[" * 4000,
            '{"notice": "' + "a" * 5000 + '"}',
        ],
        ids=range(8),
    )
    def test_what_is_not_understood_is_ignored(
        self, caplog: pytest.LogCaptureFixture, text: str
    ) -> None:
        assert self.shown(caplog, [text, '{"notice": "b"}']) == ["b"]

    def test_a_flood_is_bounded(self, caplog: pytest.LogCaptureFixture) -> None:
        texts = [json.dumps({"notice": str(number)}) for number in range(MAX_TEXTS)]
        assert len(self.shown(caplog, texts)) == MAX_NOTICES
        caplog.clear()
        assert self.shown(caplog, ["{}"] * MAX_TEXTS + texts) == []


def delivered(message: bytes) -> tuple[list[bytes], Counters]:
    """Return what a carrier gives to its TAP of a message, and its counters."""
    tap, counters = MemoryTap(has_vnet=True), Counters()
    no_connection: Any = None
    with closing(tap):
        tap.up()
        RecordCarrier(tap, no_connection, counters, LONGEST).deliver([memoryview(message)])
        return [tap.host_receive() for _ in range(counters.frames_received)], counters


@settings(max_examples=300)
@given(st.data())
def test_no_message_raises_and_only_true_records_reach_the_kernel(data: st.DataObject) -> None:
    part = st.one_of(
        st.binary(max_size=80),
        st.builds(
            lambda size, vnet: size.to_bytes(4, "big") + vnet + frame(3),
            st.integers(0, 70),
            st.binary(min_size=10, max_size=10),
        ),
        st.builds(encode_record, st.binary(max_size=80)),
        st.builds(lambda size: encode_record(*super_frame(size)[::-1]), st.integers(0, 4000)),
    )
    message = b"".join(data.draw(st.lists(part, max_size=6)))
    given_to_kernel, counters = delivered(message)
    for one in given_to_kernel:
        assert is_sound(one[:VNET_BYTES], one, VNET_BYTES, len(one) - VNET_BYTES, LONGEST)
    assert counters.frames_received == len(given_to_kernel)
    true = [vnet + one for vnet, one in decode_records(message)]
    assert [one for one in given_to_kernel if one not in true] == []


@given(st.binary(max_size=70000), st.binary(min_size=4, max_size=4))
def test_masking_in_place_is_masking(payload: bytes, key: bytes) -> None:
    room = memoryview(bytearray(HEAD_ROOM_BYTES) + payload)
    assert encode_masked_room(room, key) == encode_masked(BINARY, payload, key)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_masking_in_place_is_masking_at_each_header_length(size: int) -> None:
    payload = bytes(range(256)) * 257
    room = memoryview(bytearray(HEAD_ROOM_BYTES) + payload[:size])
    assert encode_masked_room(room, b"abcd") == encode_masked(BINARY, payload[:size], b"abcd")


@given(st.data())
def test_borrowed_messages_are_what_a_decoder_returns(data: st.DataObject) -> None:
    part = st.one_of(
        st.builds(lambda payload: encode(BINARY, payload), st.binary(max_size=300)),
        st.builds(lambda payload: encode_masked(BINARY, payload, b"abcd"), st.binary(max_size=30)),
        st.binary(max_size=4),
    )
    stream = b"".join(data.draw(st.lists(part, max_size=8)))
    usual, borrowing = Decoder(200), BorrowingDecoder(200)
    expected = usual.feed(stream)
    got: list[bytes] = []
    kept = b""
    while stream:
        count = data.draw(st.integers(1, len(stream)))
        view = memoryview(kept + stream[:count])
        messages, cut = borrowing.cut(view)
        got += [bytes(message) for message in messages]
        kept, stream = bytes(view[cut:]), stream[count:]
    assert got == expected
    assert (borrowing.ending, borrowing.ping) == (usual.ending, usual.ping)
