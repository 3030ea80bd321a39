"""What holds for every record: the honest become the packets they stand for, others do no harm."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.frames import DOT1Q, HOP_BY_HOP, TCP, UDP
from tests.support.packet_strategies import NO_OPTIONS, TIMESTAMPS, contents, packets
from tests.support.packets import NEEDS_CSUM, Packet
from vpnws.wire import offload
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import MAX_SEGMENTS, fit, is_sound, plain_frames, segment_count
from vpnws.wire.records import decode_records, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 65557
some = settings(max_examples=100, deadline=None)
gso_sizes = st.integers(32, 1500)
vnets = st.builds(
    lambda *fields: struct.pack("<BBHHHH", *fields),
    st.sampled_from([0, 1, 2, 3, 4, 255]),
    st.sampled_from([0, 1, 2, 3, 4, 5, 0x81, 0x84, 0x85, 0x80, 255]),
    st.integers(0, 0xFFFF),
    st.integers(0, 2000),
    st.sampled_from([0, 14, 34, 38, 42, 54, 58, 62, 70]) | st.integers(0, 0xFFFF),
    st.sampled_from([0, 6, 16]) | st.integers(0, 0xFFFF),
)


@pytest.fixture(scope="module", autouse=True)
def packets_may_be_small() -> Iterator[None]:
    """The least payload is a bound by itself: without it small packets show all other rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpnws.wire.offload.MIN_GSO_BYTES", 1)
        yield


@some
@given(packets())
def test_a_checksum_is_completed(packet: Packet) -> None:
    vnet, frame = packet.vnet(), packet.partial()
    assert is_sound(vnet, frame, 0, len(frame), len(frame))
    assert plain_frames(vnet, frame) == packet.wire()
    assert segment_count(vnet, len(frame)) == 1


@some
@given(packets(), st.integers(0, 0xFFFF))
def test_what_stands_in_the_checksum_field_does_not_matter(packet: Packet, there: int) -> None:
    vnet, frame = packet.vnet(), bytearray(packet.partial())
    at = sum(struct.unpack_from("<HH", vnet, 6))
    frame[at : at + 2] = there.to_bytes(2, "big")
    assert plain_frames(vnet, bytes(frame)) == packet.wire()


@some
@given(packets(min_bytes=33), gso_sizes, st.booleans())
def test_a_long_packet_is_cut(packet: Packet, gso_size: int, ecn: bool) -> None:
    assume(len(packet.payload) > gso_size)
    vnet = packet.vnet(gso_size, ecn=ecn and packet.protocol == TCP)
    frame = packet.partial()
    assert is_sound(vnet, frame, 0, len(frame), packet.payload_at + gso_size)
    assert not is_sound(vnet, frame, 0, len(frame), packet.payload_at + gso_size - 1)
    wire = packet.wire(gso_size)
    assert plain_frames(vnet, frame) == wire
    most = 0 if packet.protocol == UDP else len(packet.tcp_options) // gso_size + 1
    assert len(wire) <= segment_count(vnet, len(frame)) <= len(wire) + most


@some
@given(packets(min_bytes=1), st.integers(1, 70), st.integers(200, 1600))
def test_what_ones_own_kernel_hands_out_is_made_fit(
    packet: Packet, gso_size: int, max_packet_bytes: int
) -> None:
    vnet, frame, wire = packet.vnet(gso_size), packet.partial(), packet.wire(gso_size)
    records = [
        one for record in fit(vnet, frame, max_packet_bytes) for one in decode_records(record)
    ]
    assert all(is_sound(*header, max_packet_bytes) for header in map(spread, records))
    became = [one for record in records for one in plain_frames(*record)]
    assert became == (wire if packet.payload_at + gso_size <= max_packet_bytes else [])


@some
@given(contents, st.binary(max_size=60), st.integers(0, 30))
def test_a_record_is_read_as_it_was_written(frame: bytes, rest: bytes, count: int) -> None:
    vnet = Packet().vnet()
    frame, rest = bytes(HEADER_BYTES) + frame, bytes(HEADER_BYTES) + rest
    message = encode_record(frame) + encode_record(rest, vnet)
    whole = [(bytes(10), frame), (vnet, rest)]
    assert list(decode_records(message)) == whole
    cut_short = min(count + 1, len(rest) + 14)
    assert list(decode_records(message[:-cut_short])) == whole[:1]


@settings(max_examples=500, deadline=None)
@given(
    vnets | st.binary(max_size=12),
    st.binary(max_size=12),
    st.sampled_from(["0800", "86dd", "81000005", "88a80005810000060800", "810000050800", ""]),
    st.sampled_from(["45", "46", "4f", "60", ""]),
    st.binary(max_size=120),
    st.integers(0, 200),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_no_bytes_make_it_raise(
    vnet: bytes, addresses: bytes, kind: str, first: str, rest: bytes, size: int, form: type
) -> None:
    frame = addresses + bytes.fromhex(kind + first) + rest
    for at in (0, 3):
        if is_sound(vnet, form(bytes(at) + frame), at, size, LONGEST):
            check_harmless(vnet, frame[:size])
        is_sound(vnet, form(frame), at, len(frame), LONGEST)


VALUES = (*range(8), 17, 0x43, 0x46, 0x60, 0x7F, 0x81, 0x84, 0x86, 0xFE, 0xFF)
HONEST = {
    "TCP, IPv4": (Packet(payload=b"ab" * 30, tcp_options=TIMESTAMPS), 0),
    "TCP, IPv6": (Packet(version=6, payload=b"ab" * 30), 0),
    "UDP, IPv4": (Packet(protocol=UDP, payload=b"a" * 31), 0),
    "UDP, IPv6": (Packet(version=6, protocol=UDP, payload=b"a" * 31), 0),
    "TCP, IPv4, cut": (Packet(payload=b"ab" * 50, tcp_options=TIMESTAMPS), 33),
    "TCP, IPv6, cut": (Packet(version=6, payload=b"ab" * 50), 40),
    "UDP, IPv4, cut": (Packet(protocol=UDP, payload=b"a" * 131), 40),
    "UDP, IPv6, cut": (Packet(version=6, protocol=UDP, payload=b"a" * 131), 40),
    "options": (Packet(payload=b"ab" * 30, ip_options=b"\x94\x04\0\0\x01\x01\x01\0"), 25),
    "extension": (
        Packet(version=6, payload=b"ab" * 30, extensions=((HOP_BY_HOP, NO_OPTIONS),)),
        25,
    ),
    "tag": (Packet(payload=b"ab" * 30, tags=((DOT1Q, 5),)), 25),
}


@pytest.mark.parametrize("name", HONEST)
def test_no_single_byte_of_an_honest_record_can_be_turned_against_it(name: str) -> None:
    packet, gso_size = HONEST[name]
    vnet, frame = packet.vnet(gso_size), packet.partial()
    headers = vnet + frame[: packet.payload_at]
    accepted = 0
    for at, old in enumerate(headers):
        for value in {old, *VALUES, *(old ^ 1 << bit for bit in range(8))}:
            forged = headers[:at] + bytes((value,)) + headers[at + 1 :] + frame[len(headers) - 10 :]
            accepted += check_if_sound(forged[:10], forged[10:])
            assert value != old or accepted
    assert accepted > len(headers)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_nor_can_several(data: st.DataObject) -> None:
    packet, gso_size = data.draw(st.sampled_from(list(HONEST.values())))
    packet = replace(packet, tags=data.draw(st.sampled_from([(), ((DOT1Q, 7),)])))
    record = bytearray(packet.vnet(gso_size) + packet.partial())
    headers = packet.payload_at + 10
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, headers - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(record)) | st.integers(24, len(record)))
    check_if_sound(bytes(record[:10]), bytes(record[10:length]))


def spread(record: tuple[bytes, bytes]) -> tuple[bytes, bytes, int, int]:
    vnet, frame = record
    return vnet, frame, 0, len(frame)


def check_if_sound(vnet: bytes, frame: bytes) -> bool:
    """Return whether a record is sound, and if so that it is harmless."""
    sound = is_sound(vnet, frame, 0, len(frame), LONGEST)
    if vnet[0] == NEEDS_CSUM:
        # What a glance accepts, a closer look accepts too.
        assert sound == offload._is_true(vnet, frame, 0, len(frame), LONGEST, offload._SEGMENTS)
    if sound:
        check_harmless(vnet, frame)
    return sound


def check_harmless(vnet: bytes, frame: bytes) -> None:
    """Check that nothing changes but what a cut and a checksum may change."""
    became = plain_frames(vnet, frame)
    assert 1 <= len(became) <= MAX_SEGMENTS
    assert all(14 <= len(one) <= LONGEST for one in became)
    if vnet[0] != NEEDS_CSUM:
        assert became == [frame]
        return
    _, gso_type, _, gso_size, start, offset = struct.unpack("<BBHHHH", vnet)
    free = {start + offset, start + offset + 1}
    if not gso_type:
        assert hidden(became[0], free) == hidden(frame, free)
        return
    network = 14 + 4 * sum(frame[at : at + 2] in (b"\x81\0", b"\x88\xa8") for at in (12, 16))
    network = network if frame[12:14] in (b"\x81\0", b"\x88\xa8") else 14
    is_ipv4 = frame[network - 2 : network] == b"\x08\0"
    free |= {network + at for at in ((2, 3, 4, 5, 10, 11) if is_ipv4 else (4, 5))}
    free |= {start + at for at in ((4, 5, 6, 7, 13) if offset == 16 else (4, 5))}
    headers = start + (8 if offset == 6 else (frame[start + 12] >> 4) * 4)
    for one in became:
        assert hidden(one[:headers], free) == hidden(frame[:headers], free)
        assert 0 < len(one) - headers <= gso_size
    assert b"".join(one[headers:] for one in became) == frame[headers:]


def hidden(frame: bytes, free: set[int]) -> bytes:
    return bytes(0 if at in free else byte for at, byte in enumerate(frame))
