"""The rules by which a record is sound, one by one, and what becomes of the odd ones."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import (
    ACK,
    CWR,
    DESTINATION,
    DOT1AD,
    DOT1Q,
    FIN,
    HOP_BY_HOP,
    PSH,
    ROUTING,
    UDP,
    add_words,
)
from tests.support.packet_strategies import LAST_STOP, NO_OPTIONS, TIMESTAMPS
from tests.support.packets import Packet
from vpnws.wire.offload import MAX_SEGMENTS, fit, is_sound, plain_frames, segment_count
from vpnws.wire.records import MAX_FRAME_BYTES, NOTHING_TO_DO, decode_records, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1518
MSS = 1000
LONG = {
    (4, 6): Packet(payload=bytes(3500), tcp_options=TIMESTAMPS),
    (6, 6): Packet(version=6, payload=bytes(3500)),
    (4, 17): Packet(protocol=UDP, payload=bytes(3500)),
    (6, 17): Packet(version=6, protocol=UDP, payload=bytes(3500)),
}
SHORT = {key: replace(packet, payload=b"abc") for key, packet in LONG.items()}
VERIFIED = struct.pack("<BBHHHH", 2, 0, 0, 0, 0, 0)
FIELDS = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")


@pytest.fixture(scope="module", autouse=True)
def packets_may_be_small() -> Iterator[None]:
    """The least payload is a bound by itself: without it small packets show all other rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpnws.wire.offload.MIN_GSO_BYTES", 1)
        yield


def sound(vnet: bytes, frame: bytes, max_packet_bytes: int = LONGEST) -> bool:
    return is_sound(vnet, b"before" + frame + b"after", 6, len(frame), max_packet_bytes)


def altered(vnet: bytes, **fields: int) -> bytes:
    told = dict(zip(FIELDS, struct.unpack("<BBHHHH", vnet), strict=True))
    return struct.pack("<BBHHHH", *(told | fields).values())


def patched(frame: bytes, at: int, there: bytes) -> bytes:
    return frame[:at] + there + frame[at + len(there) :]


class TestACompleteFrame:
    @pytest.mark.parametrize("vnet", [NOTHING_TO_DO, VERIFIED])
    def test_is_sound_at_every_length_that_fits(self, vnet: bytes) -> None:
        assert [size for size in range(1600) if sound(vnet, bytes(size))] == [*range(14, 1519)]
        assert plain_frames(vnet, b"any frame at all") == [b"any frame at all"]
        assert segment_count(vnet, 1500) == 1

    def test_is_no_longer_than_an_ip_packet_may_be(self) -> None:
        assert sound(NOTHING_TO_DO, bytes(MAX_FRAME_BYTES), 1 << 20)
        assert not sound(NOTHING_TO_DO, bytes(MAX_FRAME_BYTES + 1), 1 << 20)

    def test_is_all_there(self) -> None:
        assert is_sound(NOTHING_TO_DO, bytes(66), 6, 60, LONGEST)
        assert not is_sound(NOTHING_TO_DO, bytes(66), 7, 60, LONGEST)

    @pytest.mark.parametrize("field", FIELDS[1:])
    def test_has_nothing_left_to_do(self, field: str) -> None:
        for vnet in (NOTHING_TO_DO, VERIFIED):
            assert not sound(altered(vnet, **{field: 1}), Packet().frame())


def test_work_left_in_what_is_no_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="not sound"):
        plain_frames(Packet().vnet(), Packet().frame()[:40])


@pytest.mark.parametrize("key", LONG)
class TestAChecksumLeftToDo:
    def test_is_where_the_protocol_has_it(self, key: tuple[int, int]) -> None:
        packet = SHORT[key]
        vnet, frame = packet.vnet(), packet.partial()
        assert sound(vnet, frame)
        for start in range(len(frame)):
            assert sound(altered(vnet, csum_start=start), frame) == (start == packet.transport_at)
        for offset in range(40):
            right = 16 if key[1] == 6 else 6
            assert sound(altered(vnet, csum_offset=offset), frame) == (offset == right)

    def test_is_no_cut(self, key: tuple[int, int]) -> None:
        vnet, frame = SHORT[key].vnet(), SHORT[key].partial()
        assert not sound(altered(vnet, gso_size=1), frame)
        assert not sound(altered(vnet, hdr_len=54), frame)
        assert not sound(altered(vnet, flags=3), frame)
        assert not sound(altered(vnet, flags=5), frame)

    def test_is_of_a_frame_that_fits(self, key: tuple[int, int]) -> None:
        vnet, frame = SHORT[key].vnet(), SHORT[key].partial()
        assert sound(vnet, frame, len(frame))
        assert not sound(vnet, frame, len(frame) - 1)

    def test_is_not_of_a_packet_cut_short(self, key: tuple[int, int]) -> None:
        vnet, frame = SHORT[key].vnet(), SHORT[key].partial()
        assert not any(sound(vnet, frame[:size]) for size in range(len(frame)))

    def test_may_be_of_a_short_frame_that_is_padded(self, key: tuple[int, int]) -> None:
        packet = SHORT[key]
        vnet, frame = packet.vnet(), packet.partial()
        padded = frame + b"\xaa" * 3
        assert sound(vnet, padded) == (len(padded) <= 68)
        assert plain_frames(vnet, padded) == [packet.frame() + b"\xaa" * 3]
        assert not sound(vnet, frame + bytes(30))

    def test_of_another_protocol_is_none(self, key: tuple[int, int]) -> None:
        frame, at = SHORT[key].partial(), 23 if key[0] == 4 else 20
        for protocol in range(256):
            other = patched(frame, at, bytes((protocol,)))
            assert sound(SHORT[key].vnet(), other) == (protocol == key[1])

    def test_of_zero_is_written_as_ones(self, key: tuple[int, int]) -> None:
        packet = SHORT[key]
        whole = replace(packet, payload=b"\0\0").frame()
        at = sum(struct.unpack_from("<HH", packet.vnet(), 6))
        packet = replace(packet, payload=whole[at : at + 2])
        assert plain_frames(packet.vnet(), packet.partial())[0][at : at + 2] == b"\xff\xff"


@pytest.mark.parametrize("key", LONG)
class TestALongPacket:
    def test_is_cut_as_its_type_says(self, key: tuple[int, int]) -> None:
        packet = LONG[key]
        vnet, frame = packet.vnet(MSS), packet.partial()
        own = {(4, 6): {1, 0x81}, (6, 6): {4, 0x84}}.get(key, {5})
        kinds = {kind for kind in range(256) if sound(altered(vnet, gso_type=kind), frame)}
        assert kinds == own

    def test_has_its_checksum_left_to_do(self, key: tuple[int, int]) -> None:
        vnet, frame = LONG[key].vnet(MSS), LONG[key].partial()
        flags = {one for one in range(256) if sound(altered(vnet, flags=one), frame)}
        assert flags == {1}

    def test_becomes_two_packets_at_least_and_no_more_than_the_most(
        self, key: tuple[int, int]
    ) -> None:
        packet = LONG[key]
        vnet, frame = packet.vnet(MSS), packet.partial()
        sizes = {size for size in range(5000) if sound(altered(vnet, gso_size=size), frame, 9999)}
        assert sizes == set(range(-(-3500 // MAX_SEGMENTS), 3500))

    def test_becomes_the_most_packets_and_not_one_more(self, key: tuple[int, int]) -> None:
        for count in (MAX_SEGMENTS, MAX_SEGMENTS + 1):
            packet = replace(LONG[key], payload=bytes(10 * count))
            assert sound(packet.vnet(10), packet.partial()) == (count == MAX_SEGMENTS)

    def test_becomes_packets_that_fit(self, key: tuple[int, int]) -> None:
        packet = LONG[key]
        vnet, frame = packet.vnet(MSS), packet.partial()
        assert sound(vnet, frame, packet.payload_at + MSS)
        assert not sound(vnet, frame, packet.payload_at + MSS - 1)

    def test_tells_how_much_of_it_is_headers_or_more(self, key: tuple[int, int]) -> None:
        packet = LONG[key]
        vnet, frame = packet.vnet(MSS), packet.partial()
        told = {size for size in range(5000) if sound(altered(vnet, hdr_len=size), frame)}
        assert told == set(range(packet.payload_at - 4, len(frame) + 1))

    def test_is_as_long_as_it_says(self, key: tuple[int, int]) -> None:
        vnet, frame = LONG[key].vnet(MSS), LONG[key].partial()
        assert not sound(vnet, frame[:-1])
        assert not sound(vnet, frame + b"\0")


class TestACutPacket:
    def test_has_fin_and_psh_last_and_cwr_first(self) -> None:
        packet = replace(LONG[4, 6], flags=ACK | FIN | PSH | CWR)
        cut = plain_frames(packet.vnet(MSS, ecn=True), packet.partial())
        flags = [frame[packet.transport_at + 13] for frame in cut]
        assert flags == [ACK | CWR, ACK, ACK, ACK | FIN | PSH]

    def test_has_numbers_that_wrap(self) -> None:
        packet = replace(LONG[4, 6], number=0xFFFE, sequence=0xFFFFFFFF - 1500)
        cut = plain_frames(packet.vnet(MSS), packet.partial())
        assert [frame[18:20].hex() for frame in cut] == ["fffe", "ffff", "0000", "0001"]
        at = packet.transport_at + 4
        sequences = [int.from_bytes(frame[at : at + 4]) for frame in cut]
        assert sequences == [0xFFFFFFFF - 1500, 0xFFFFFFFF - 500, 499, 1499]

    def test_has_a_checksum_of_zero_as_its_protocol_writes_it(self) -> None:
        for protocol, written in ((6, b"\0\0"), (17, b"\xff\xff")):
            packet = replace(LONG[4, protocol], payload=bytes(2000), tcp_options=b"")
            at = sum(struct.unpack_from("<HH", packet.vnet(), 6))
            check = packet.wire(MSS)[0][at : at + 2]
            packet = replace(packet, payload=check + bytes(1998))
            cut = plain_frames(packet.vnet(MSS), packet.partial())
            assert cut[0][at : at + 2] == written
            segment = cut[0][34:]
            pseudo = cut[0][26:34] + struct.pack(">HH", protocol, len(segment))
            assert add_words(pseudo + segment) == 0xFFFF


class TestHeadersOnTheWay:
    def test_tags_are_two_at_most(self) -> None:
        for count in range(4):
            packet = Packet(payload=b"abc", tags=((DOT1AD, 1), (DOT1Q, 2), (DOT1Q, 3))[:count])
            assert sound(packet.vnet(), packet.partial()) == (count <= 2)

    def test_extensions_are_four_at_most(self) -> None:
        for count in range(6):
            chain = ((HOP_BY_HOP, NO_OPTIONS), *((DESTINATION, NO_OPTIONS),) * 5)[:count]
            packet = Packet(version=6, payload=b"abc", extensions=chain)
            assert sound(packet.vnet(), packet.partial()) == (count <= 4)

    @pytest.mark.parametrize("kind", [44, 50, 51, 59, 135])
    def test_a_fragment_and_what_encrypts_have_no_checksum_left(self, kind: int) -> None:
        packet = Packet(version=6, payload=b"abc", extensions=((kind, NO_OPTIONS),))
        assert not sound(packet.vnet(), packet.partial())

    @pytest.mark.parametrize(("word", "whole"), [(0x4000, True), (0x2000, False), (1, False)])
    def test_an_ipv4_packet_is_no_fragment(self, word: int, whole: bool) -> None:
        for packet in (SHORT[4, 6], SHORT[4, 17], replace(SHORT[4, 6], ip_options=b"\x01" * 4)):
            frame = patched(packet.partial(), 20, word.to_bytes(2))
            assert sound(packet.vnet(), frame) == whole

    @pytest.mark.parametrize(
        ("options", "allowed"),
        [
            ("94040000", True),
            ("01010100", True),
            ("00830000", True),
            ("83070400000000000000000000"[:24], False),
            ("8907040000000000"[:16], False),
            ("01830304", False),
            ("44000000", False),
            ("010101ff", False),
        ],
    )
    def test_ipv4_options_can_be_read_and_do_not_route(self, options: str, allowed: bool) -> None:
        packet = replace(SHORT[4, 6], ip_options=bytes.fromhex(options))
        assert sound(packet.vnet(), packet.partial()) == allowed

    def test_a_routing_header_tells_the_last_stop_or_has_been_used_up(self) -> None:
        for kind in range(8):
            for left in (0, 1):
                body = bytes((kind, left, 0, 0, 0, 0)) + LAST_STOP
                stop = LAST_STOP if left else b""
                packet = Packet(
                    version=6, payload=b"ab", extensions=((ROUTING, body),), last_stop=stop
                )
                allowed = left == 0 or kind in (2, 4)
                assert sound(packet.vnet(), packet.partial()) == allowed
                assert not allowed or plain_frames(packet.vnet(), packet.partial()) == packet.wire()

    def test_a_routing_header_without_an_address_has_no_last_stop(self) -> None:
        packet = Packet(version=6, payload=b"ab", extensions=((ROUTING, b"\x04\x01\0\0\0\0"),))
        assert not sound(packet.vnet(), packet.partial())

    @pytest.mark.parametrize("key", LONG)
    def test_the_shortest_transport_header_is_there(self, key: tuple[int, int]) -> None:
        least = 20 if key[1] == 6 else 8
        for tags in ((), ((DOT1Q, 5),)):
            packet = replace(SHORT[key], payload=b"", tcp_options=b"", tags=tags)
            for length in range(least + 1):
                frame = packet.partial()[: packet.transport_at + length]
                network = 14 + 4 * len(tags)
                at, told = (network + 2, length + 20) if key[0] == 4 else (network + 4, length)
                frame = patched(frame, at, told.to_bytes(2))
                if key[1] == 17 and length >= 6:
                    frame = patched(frame, packet.transport_at + 4, length.to_bytes(2))
                whole = length == least
                assert is_sound(packet.vnet(), frame, 0, len(frame), LONGEST) == whole

    @pytest.mark.parametrize("key", LONG)
    def test_the_version_is_that_of_the_type(self, key: tuple[int, int]) -> None:
        own = {0x45} if key[0] == 4 else set(range(0x60, 0x70))
        for tags in ((), ((DOT1Q, 5),)):
            packet = replace(SHORT[key], tags=tags)
            network = 14 + 4 * len(tags)
            vnet, frame = packet.vnet(), packet.partial()
            firsts = {
                one for one in range(256) if sound(vnet, patched(frame, network, bytes([one])))
            }
            assert firsts == own

    def test_an_ipv4_header_is_no_shorter_than_its_fields(self) -> None:
        for words in range(5):
            # Its own addresses would be the TCP header that the checksum goes into.
            frame = patched(SHORT[4, 6].partial(), 14, bytes((0x40 | words,)))
            assert not sound(altered(SHORT[4, 6].vnet(), csum_start=14 + words * 4), frame)

    def test_headers_that_reach_past_the_end_are_not_read(self) -> None:
        four = patched(Packet(payload=b"").frame(), 14, b"\x4f\x00\x00\x14")[:34]
        six = Packet(version=6, extensions=((HOP_BY_HOP, NO_OPTIONS),)).frame()
        for vnet in (Packet().vnet(), altered(Packet().vnet(), csum_start=74)):
            assert not is_sound(vnet, four, 0, len(four), LONGEST)
            for length in range(9):
                frame = patched(six[: 54 + length], 18, length.to_bytes(2))
                assert not is_sound(vnet, frame, 0, len(frame), LONGEST)

    @pytest.mark.parametrize("key", [(4, 17), (6, 17)])
    def test_udp_tells_the_same_length_as_ip(self, key: tuple[int, int]) -> None:
        packet = SHORT[key]
        at = packet.transport_at + 4
        for length in range(20):
            frame = patched(packet.partial(), at, length.to_bytes(2))
            assert sound(packet.vnet(), frame) == (length == 11)

    def test_a_tcp_header_ends_within_a_packet_to_be_cut(self) -> None:
        packet = replace(LONG[4, 6], payload=bytes(100), tcp_options=b"")
        for offset in range(16):
            frame = patched(packet.partial(), packet.transport_at + 12, bytes((offset << 4,)))
            vnet = altered(packet.vnet(30), hdr_len=100)
            assert sound(vnet, frame) == (offset >= 5)


class TestFit:
    def test_is_the_record_itself_as_a_rule(self) -> None:
        packet = LONG[4, 6]
        vnet, frame = packet.vnet(MSS), packet.partial()
        assert fit(vnet, frame, LONGEST) == [encode_record(frame, vnet)]
        assert fit(NOTHING_TO_DO, frame[:99], LONGEST) == [encode_record(frame[:99])]

    def test_is_complete_frames_when_there_are_too_many_packets(self) -> None:
        packet = LONG[6, 6]
        became = fit(packet.vnet(20), packet.partial(), LONGEST)
        assert became == [encode_record(frame) for frame in packet.wire(20)]
        assert len(became) == 175

    def test_trusts_the_kernels_partial_sum_where_only_that_is_known(self) -> None:
        packet = replace(SHORT[4, 6], ip_options=b"\x83\x07\x04\x0a\x09\x00\x07\x00")
        packet = replace(packet, last_stop=bytes.fromhex("0a090007"))
        assert not sound(packet.vnet(), packet.partial())
        (record,) = fit(packet.vnet(), packet.partial(), LONGEST)
        assert list(decode_records(record)) == [(NOTHING_TO_DO, packet.frame())]

    @pytest.mark.parametrize(
        ("vnet", "size"),
        [
            (NOTHING_TO_DO, 13),
            (NOTHING_TO_DO, LONGEST + 1),
            (NOTHING_TO_DO[1:], 60),
            (struct.pack("<BBHHHH", 4, 0, 0, 0, 0, 0), 60),
            (struct.pack("<BBHHHH", 1, 0, 0, 0, 50, 9), 60),
            (struct.pack("<BBHHHH", 1, 0, 0, 0, 65535, 65535), 60),
            (struct.pack("<BBHHHH", 1, 0, 0, 0, 40, 6), LONGEST + 1),
            (struct.pack("<BBHHHH", 1, 3, 42, 1400, 34, 6), 1500),
        ],
    )
    def test_is_nothing_when_it_cannot_be(self, vnet: bytes, size: int) -> None:
        assert fit(vnet, bytes(size), LONGEST) == []

    def test_is_nothing_when_a_packet_is_too_long(self) -> None:
        packet = LONG[4, 17]
        assert fit(packet.vnet(MSS), packet.partial(), packet.payload_at + MSS - 1) == []
