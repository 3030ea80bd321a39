"""Trains and the walk over records, held against a slow reading of the same bytes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.packets import Packet
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import is_sound, plain_frames
from vpnws.wire.plain_train import read_frames
from vpnws.wire.record_train import from_trunk, read_records
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

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer
    from vpnws.wire.train import Train

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


def are_plain(pairs: list[tuple[bytes, bytes]]) -> bool:
    return all(vnet == NOTHING_TO_DO for vnet, _frame in pairs)


def judge(vnet: bytes, buffer: Buffer, at: int, size: int) -> bool:
    return is_sound(vnet, buffer, at, size, MAX_FRAME_BYTES)


class TestWalk:
    @given(records, endings, st.sampled_from((1, 100, MAX_PIECE_BYTES)))
    def test_pieces_are_records_of_the_same_addresses_within_the_bound(
        self, pairs: list[tuple[bytes, bytes]], ending: bytes, max_bytes: int
    ) -> None:
        message = written(pairs) + ending
        whole, rest = slowly(message)
        read, at = [], 0
        for piece in walk_pieces(message, max_bytes):
            addresses, is_plain, count, longest_bytes, start, stop = piece
            assert start == at
            at = stop
            if not addresses:
                assert not is_plain
                assert (message[start:stop], count, stop) == (rest, 1, len(message))
                continue
            inside, _ = slowly(message[start:stop])
            assert {frame[:12] for _, frame in inside} == {addresses}
            assert is_plain == are_plain(inside)
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
    def test_neighbours_with_the_same_addresses_are_one_train(
        self, contents: list[tuple[list[tuple[bytes, bytes]], bytes]]
    ) -> None:
        messages = [written(pairs) + ending for pairs, ending in contents]
        expected: list[tuple[bytes, list[tuple[bytes, bytes]]]] = []
        for message in messages:
            pairs, rest = slowly(message)
            for pair in pairs:
                if expected and expected[-1][0] == pair[1][:12]:
                    expected[-1][1].append(pair)
                else:
                    expected.append((pair[1][:12], [pair]))
            if rest:
                expected.append((b"", [(b"", rest)]))
        trains = list(read_records(messages))
        assert len(trains) == len(expected)
        for train, (addresses, there) in zip(trains, expected, strict=True):
            if not addresses:
                assert (train.count, train.addresses) == (1, b"")
                assert not train.is_sound(MAX_FRAME_BYTES)
                assert [said for _part, said in train.sift(judge)] == [False]
                assert not train.is_plain
                assert train.size_bytes == max(0, len(there[0][1]) - PREFIX_BYTES)
                continue
            assert train.addresses == addresses
            assert train.is_plain == are_plain(there)
            check(train, there)

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

    def test_a_sieve_parts_lies_from_truths_and_nothing_else(self) -> None:
        packet = Packet(payload=bytes(100))
        true, vnet = packet.partial(), packet.vnet()
        lie = true[:23] + b"\x11" + true[24:]
        whole = packet.frame()
        sent = [(vnet, true), (NOTHING_TO_DO, whole), (vnet, lie), (vnet, lie)]
        sent += [(NOTHING_TO_DO, whole)] * 2
        (train,) = read_records([written(sent)])
        parts = list(train.sift(judge))
        assert [said for _part, said in parts] == [True, False, True]
        for (part, said), there in zip(parts, (sent[:2], sent[2:4], sent[4:]), strict=True):
            check(part, there)
            assert part.is_plain == are_plain(there)
            assert part.is_sound(MAX_FRAME_BYTES) == said


class TestPlainTrains:
    @given(st.lists(frames, max_size=20))
    def test_neighbours_with_the_same_addresses_are_one_train(self, sent: list[bytes]) -> None:
        expected = [list(group) for _, group in groupby(sent, lambda frame: frame[:12])]
        trains = list(read_frames(sent))
        assert [list(train.frames()) for train in trains] == expected
        for train, there in zip(trains, expected, strict=True):
            assert train.addresses == there[0][:12]
            assert train.packets() == there
            assert train.packet_count() == len(there)
            check(train, [(NOTHING_TO_DO, frame) for frame in there])

    @pytest.mark.parametrize("size", [0, 1, 11, 12, 13, MAX_FRAME_BYTES + 1])
    def test_a_frame_that_is_none_or_too_long_is_not_sound(self, size: int) -> None:
        good, bad = bytes(60), bytes(size)
        trains = list(read_frames([bad])) + list(read_frames([good, bad, good]))
        sound = [train.is_sound(MAX_FRAME_BYTES) for train in trains for _ in range(train.count)]
        assert not all(sound)
        parts = [part for train in read_frames([good, bad]) for part in train.split()]
        assert [part.is_sound(MAX_FRAME_BYTES) for part in parts] == [True, False]
        sifted = [pair for train in read_frames([good, good, bad]) for pair in train.sift(judge)]
        assert [(part.frames(), said) for part, said in sifted] == [
            ([good, good], True),
            ([bad], False),
        ]

    @pytest.mark.parametrize("size", [HEADER_BYTES, MAX_FRAME_BYTES])
    def test_the_bounds_themselves_are_sound(self, size: int) -> None:
        (train,) = read_frames([bytes(size), bytes(60)])
        assert train.is_sound(MAX_FRAME_BYTES)


def check(train: Train, pairs: list[tuple[bytes, bytes]]) -> None:
    """Hold the counts and the pieces of `train` to the (virtio header, frame) that it came of."""
    there = [frame for _vnet, frame in pairs]
    assert list(train.frames()) == there
    assert train.count == len(there)
    assert train.size_bytes == sum(map(len, there))
    singles = [encode_record(frame, vnet) for vnet, frame in pairs]
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
