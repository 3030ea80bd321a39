"""Trains of records: what an offload station, a TAP with virtio headers or a trunk sends."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from vpnws.wire.ethernet import ADDRESSES_BYTES
from vpnws.wire.offload import is_sound, plain_frames, segment_count
from vpnws.wire.records import (
    LENGTH_BYTES,
    MAX_PIECE_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    each_record,
    sole_head,
    walk_pieces,
)
from vpnws.wire.told import may_tell_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vpnws.wire.train import Judge, Piece, T, Train

Span: TypeAlias = "tuple[bytes, int, int, int]"
"""(message, start, stop, count): `count` records in a message: a piece, as it came."""


class RecordTrain:
    """Records whose frames have the same addresses."""

    __slots__ = (
        "_longest_bytes",
        "_spans",
        "addresses",
        "count",
        "is_plain",
        "label",
        "size_bytes",
    )

    def __init__(
        self,
        addresses: bytes,
        is_plain: bool,
        spans: list[Span],
        count: int,
        size_bytes: int,
        longest_bytes: int,
        label: bytes = b"",
    ) -> None:
        """`size_bytes` is the length of all records, `longest_bytes` that of the longest frame."""
        self.addresses = addresses
        self.is_plain = is_plain
        self.count = count
        # A broken rest of a message may be shorter than a prefix.
        self.size_bytes = max(0, size_bytes - PREFIX_BYTES * count)
        self.label = label
        self._spans = spans
        self._longest_bytes = longest_bytes

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether every virtio header is true of its frame (see `offload.is_sound`)."""
        if self.is_plain:
            return self._longest_bytes <= max_frame_bytes
        for message, start, stop, _count in self._spans:
            for vnet, at, size in each_record(message, start, stop):
                is_complete = vnet == NOTHING_TO_DO and size <= max_frame_bytes
                if not is_complete and not is_sound(vnet, message, at, size, max_frame_bytes):
                    return False
        return True

    def frames(self) -> list[bytes]:
        """Return the frames, without prefixes."""
        if self.count == 1:
            message, start, stop, _count = self._spans[0]
            return [message[start + PREFIX_BYTES : stop]]
        return [message[at : at + size] for _vnet, message, at, size in self._each_frame()]

    def may_tell(self) -> bool:
        """Return at a glance whether a frame may tell an IP address; its length may (see told)."""
        message, start, _stop, _count = self._spans[0]
        return self.count > 1 or may_tell_at(message, start + PREFIX_BYTES, self.size_bytes)

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire. The train must be sound."""
        if self.is_plain:
            return self.frames()
        packets: list[bytes] = []
        for vnet, message, at, size in self._each_frame():
            packets += plain_frames(vnet, message[at : at + size])
        return packets

    def packet_count(self) -> int:
        """Return how many packets there are, or a few too many (see `offload.segment_count`)."""
        if self.is_plain:
            return self.count
        return sum(segment_count(vnet, size) for vnet, _message, _at, size in self._each_frame())

    def records(self) -> list[bytes]:
        """Return the records as they came in, a piece for each span."""
        return [message[start:stop] for message, start, stop, _count in self._spans]

    def pieces(self) -> list[Piece]:
        """Return the records as they came in; each piece has one part."""
        return [
            ((message[start:stop],), stop - start, count)
            for message, start, stop, count in self._spans
        ]

    def split(self) -> Iterator[Train]:
        """Yield each record as a train of its own."""
        for vnet, message, at, size in self._each_frame():
            span = message, at - PREFIX_BYTES, at + size, 1
            yield self._part(span, size, is_plain=vnet == NOTHING_TO_DO)

    def detached(self) -> Train:
        """Return the train with a copy of its records."""
        copies: list[Span] = [
            (message[start:stop], 0, stop - start, count)
            for message, start, stop, count in self._spans
        ]
        size_bytes = self.size_bytes + PREFIX_BYTES * self.count
        return RecordTrain(
            self.addresses,
            self.is_plain,
            copies,
            self.count,
            size_bytes,
            self._longest_bytes,
            self.label,
        )

    def sift(self, judge: Judge[T]) -> Iterator[tuple[Train, T]]:
        """Yield records in a row, of one span, that `judge` judges alike, and the judgement."""
        for message, start, stop, _count in self._spans:
            each = list(each_record(message, start, stop))
            said = [judge(vnet, message, at, size) for vnet, at, size in each]
            first = 0
            for verdict, group in groupby(said):
                end = first + len(list(group))
                records, first = each[first:end], end
                _vnet, at, size = records[-1]
                span = message, start, at + size, len(records)
                is_plain = all(vnet == NOTHING_TO_DO for vnet, _at, _size in records)
                yield self._part(span, self._longest_bytes, is_plain=is_plain), verdict
                start = at + size

    def _part(self, span: Span, longest_bytes: int, *, is_plain: bool) -> RecordTrain:
        _message, start, stop, count = span
        return RecordTrain(
            self.addresses, is_plain, [span], count, stop - start, longest_bytes, self.label
        )

    def _each_frame(self) -> Iterator[tuple[bytes, bytes, int, int]]:
        """Yield (virtio header, message, where the frame begins, its length) for each frame."""
        for message, start, stop, _count in self._spans:
            for vnet, at, size in each_record(message, start, stop):
                yield vnet, message, at, size


def from_trunk(label: bytes, records: bytes, count: int) -> RecordTrain:
    """Return the train of a trunk's item: `count` records whose frames have the same addresses."""
    size_bytes = len(records)
    addresses = records[PREFIX_BYTES : PREFIX_BYTES + ADDRESSES_BYTES]
    # Of several records, only a look at each would tell.
    is_plain = count == 1 and records[LENGTH_BYTES:PREFIX_BYTES] == NOTHING_TO_DO
    span = records, 0, size_bytes, count
    return RecordTrain(addresses, is_plain, [span], count, size_bytes, size_bytes, label)


def read_records(messages: Sequence[bytes]) -> Iterable[Train]:
    """Return the trains in messages of records. A broken end is a train (see `walk_pieces`)."""
    if len(messages) == 1 and (head := sole_head(messages[0])) is not None:
        vnet, addresses = head
        size_bytes = len(messages[0])
        span = messages[0], 0, size_bytes, 1
        is_plain, longest_bytes = vnet == NOTHING_TO_DO, size_bytes - PREFIX_BYTES
        return (RecordTrain(addresses, is_plain, [span], 1, size_bytes, longest_bytes),)
    return _read_records(messages)


def _read_records(messages: Iterable[bytes]) -> Iterator[Train]:
    train_addresses, train_is_plain = b"", True
    spans: list[Span] = []
    train_count = size_bytes = longest_bytes = 0
    for message in messages:
        for piece in walk_pieces(message, MAX_PIECE_BYTES):
            addresses, is_plain, count, longest, start, stop = piece
            if addresses == train_addresses and addresses:
                spans.append((message, start, stop, count))
                train_is_plain = train_is_plain and is_plain
                train_count += count
                size_bytes += stop - start
                if longest > longest_bytes:
                    longest_bytes = longest
                continue
            if spans:
                yield RecordTrain(
                    train_addresses, train_is_plain, spans, train_count, size_bytes, longest_bytes
                )
            train_addresses, train_is_plain, train_count = addresses, is_plain, count
            spans = [(message, start, stop, count)]
            size_bytes, longest_bytes = stop - start, longest
    if spans:
        yield RecordTrain(
            train_addresses, train_is_plain, spans, train_count, size_bytes, longest_bytes
        )
