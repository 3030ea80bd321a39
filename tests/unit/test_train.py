"""Trains and the walk over records, held against a slow reading of the same bytes."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.packets import Packet
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import plain_frames
from vpnws.wire.records import (
    MAX_PIECE_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    decode_records,
    each_record,
    encode_record,
    split_records,
    walk_pieces,
)
from vpnws.wire.train import Train, from_trunk, read_frames, read_records

MAX_FRAME_BYTES = 1514
VNETS = (NOTHING_TO_DO, Packet().vnet(), b"\0\1" + bytes(8))
TYPES = (b"\x08\x00", b"\x86\xdd")

frames = st.builds(
    lambda pair, kind, size: bytes((2, 0, 0, 0, 0, pair)) * 2 + kind + bytes(size),
    st.integers(1, 2),
    st.sampled_from(TYPES),
    st.one_of(st.integers(0, 60), st.sampled_from((1500, 9000, 20_000))),
)
records = st.lists(st.tuples(st.sampled_from(VNETS), frames), max_size=12)
endings = st.one_of(st.just(b""), st.binary(min_size=1, max_size=27))


def written(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(encode_record(frame, vnet) for vnet, frame in pairs)


def slowly(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the records of `message`, and the rest that is none."""
    pairs = []
    while len(message) >= PREFIX_BYTES + HEADER_BYTES:
        size = int.from_bytes(message[:4], "big")
        if size < HEADER_BYTES or len(message) < PREFIX_BYTES + size:
            break
        pairs.append((message[4:PREFIX_BYTES], message[PREFIX_BYTES : PREFIX_BYTES + size]))
        message = message[PREFIX_BYTES + size :]
    return pairs, message


def key_of(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0] + pair[1][:12]


class TestWalk:
    @given(records, endings, st.sampled_from((1, 100, MAX_PIECE_BYTES)))
    def test_pieces_are_records_of_one_key_within_the_bound(
        self, pairs: list[tuple[bytes, bytes]], ending: bytes, max_bytes: int
    ) -> None:
        message = written(pairs) + ending
        whole, rest = slowly(message)
        read, at = [], 0
        for key, count, longest_bytes, start, stop in walk_pieces(message, max_bytes):
            assert start == at
            at = stop
            if not key:
                assert (message[start:stop], count, stop) == (rest, 1, len(message))
                continue
            inside, _ = slowly(message[start:stop])
            assert {key_of(pair) for pair in inside} == {key}
            assert (count, longest_bytes) == (len(inside), max(len(frame) for _, frame in inside))
            assert count == 1 or stop - start <= max_bytes
            read += inside
        assert at == len(message)
        assert read == whole == list(decode_records(message))
        assert list(split_records(message)) == [encode_record(frame, vnet) for vnet, frame in whole]

    @given(records, endings, st.integers(0, 40), st.integers(0, 40))
    def test_records_one_by_one_are_those_of_the_pieces(
        self, pairs: list[tuple[bytes, bytes]], ending: bytes, before: int, behind: int
    ) -> None:
        message = written(pairs) + ending
        whole, rest = slowly(message)
        framed = bytes(before) + message + bytes(behind)
        one_by_one = list(each_record(framed, before, before + len(message)))
        if rest:
            assert one_by_one.pop() == (b"", before + len(message) - len(rest), len(rest))
        assert [(vnet, framed[at : at + size]) for vnet, at, size in one_by_one] == whole

    @given(st.binary(max_size=200))
    def test_no_bytes_of_a_stranger_raise(self, message: bytes) -> None:
        pieces = list(walk_pieces(message, MAX_PIECE_BYTES))
        assert sum(stop - start for *_, start, stop in pieces) == len(message)
        assert bool(list(each_record(message))) == bool(message)


class TestRecordTrains:
    @given(st.lists(st.tuples(records, endings), max_size=4))
    def test_neighbours_with_one_key_are_one_train(
        self, contents: list[tuple[list[tuple[bytes, bytes]], bytes]]
    ) -> None:
        messages = [written(pairs) + ending for pairs, ending in contents]
        expected: list[tuple[bytes, list[bytes]]] = []
        for message in messages:
            pairs, rest = slowly(message)
            for pair in pairs:
                if expected and expected[-1][0] == key_of(pair):
                    expected[-1][1].append(pair[1])
                else:
                    expected.append((key_of(pair), [pair[1]]))
            if rest:
                expected.append((b"", [rest]))
        trains = list(read_records(messages))
        assert len(trains) == len(expected)
        for train, (key, there) in zip(trains, expected, strict=True):
            if not key:
                assert (train.count, train.addresses) == (1, b"")
                assert not train.is_sound(MAX_FRAME_BYTES)
                assert not train.is_plain
                assert train.size_bytes == max(0, len(there[0]) - PREFIX_BYTES)
                continue
            assert train.addresses == key[10:]
            assert train.is_plain == (key[:10] == NOTHING_TO_DO)
            check(train, there, key[:10])

    @given(frames, st.integers(1, PREFIX_BYTES + HEADER_BYTES - 1))
    def test_one_record_alone_is_what_it_is_among_others(self, frame: bytes, cut: int) -> None:
        message = encode_record(frame)
        (alone,) = read_records([message])
        first, second = read_records([message + encode_record(b"\3" + frame)])
        assert (alone.addresses, alone.count, alone.size_bytes) == (
            first.addresses, first.count, first.size_bytes,
        )  # fmt: skip
        assert alone.records() == first.records() == [message]
        assert second.addresses != first.addresses
        (broken,) = read_records([message[:-cut]])
        assert not broken.is_sound(MAX_FRAME_BYTES)

    def test_what_is_left_to_do_is_done_packet_by_packet(self) -> None:
        packet = Packet(payload=bytes(3000))
        one = encode_record(packet.partial(), packet.vnet(1000))
        (train,) = read_records([one * 2])
        assert train.is_sound(MAX_FRAME_BYTES)
        assert train.packets() == 2 * plain_frames(packet.vnet(1000), packet.partial())
        assert train.packet_count() >= len(train.packets()) == 6

    def test_one_lie_among_truths_makes_the_train_unsound(self) -> None:
        packet = Packet(payload=bytes(100))
        true, vnet = packet.partial(), packet.vnet()
        lie = true[:23] + b"\x11" + true[24:]
        (train,) = read_records([written([(vnet, true), (vnet, lie), (vnet, true)])])
        assert not train.is_sound(MAX_FRAME_BYTES)
        assert [part.is_sound(MAX_FRAME_BYTES) for part in train.split()] == [True, False, True]


class TestPlainTrains:
    @given(st.lists(frames, max_size=20))
    def test_neighbours_with_one_header_are_one_train(self, sent: list[bytes]) -> None:
        expected = [list(group) for _, group in groupby(sent, lambda frame: frame[:HEADER_BYTES])]
        trains = list(read_frames(sent))
        assert [list(train.frames()) for train in trains] == expected
        for train, there in zip(trains, expected, strict=True):
            assert train.addresses == there[0][:12]
            assert train.packets() == there
            assert train.packet_count() == len(there)
            check(train, there, NOTHING_TO_DO)

    @pytest.mark.parametrize("size", [0, 1, 11, 12, 13, MAX_FRAME_BYTES + 1])
    def test_a_frame_that_is_none_or_too_long_is_not_sound(self, size: int) -> None:
        good, bad = bytes(60), bytes(size)
        trains = list(read_frames([bad])) + list(read_frames([good, bad, good]))
        sound = [train.is_sound(MAX_FRAME_BYTES) for train in trains for _ in range(train.count)]
        assert not all(sound)
        parts = [part for train in read_frames([good, bad]) for part in train.split()]
        assert [part.is_sound(MAX_FRAME_BYTES) for part in parts] == [True, False]

    @pytest.mark.parametrize("size", [HEADER_BYTES, MAX_FRAME_BYTES])
    def test_the_bounds_themselves_are_sound(self, size: int) -> None:
        (train,) = read_frames([bytes(size), bytes(60)])
        assert train.is_sound(MAX_FRAME_BYTES)


def check(train: Train, there: list[bytes], vnet: bytes) -> None:
    """Hold the counts and the pieces of `train` to the frames it came of."""
    assert list(train.frames()) == there
    assert train.count == len(there)
    assert train.size_bytes == sum(map(len, there))
    singles = [encode_record(frame, vnet) for frame in there]
    joined = [b"".join(parts) for parts, _size_bytes, _count in train.pieces()]
    assert train.records() == joined
    assert b"".join(joined) == b"".join(singles)
    for piece, (_parts, size_bytes, count) in zip(joined, train.pieces(), strict=True):
        assert size_bytes == len(piece)
        assert count == len(list(split_records(piece)))
        assert count == 1 or size_bytes <= MAX_PIECE_BYTES
        again = from_trunk(b"label", piece, count)
        assert again.label == b"label"
        assert again.addresses == train.addresses
        assert again.records() == [piece]
    assert [part.records() for part in train.split()] == [[single] for single in singles]
    assert all(part.count == 1 for part in train.split())
