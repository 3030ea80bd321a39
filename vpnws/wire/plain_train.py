"""Trains of plain frames: what a TAP without virtio headers or a plain station sends."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from vpnws.wire.ethernet import ADDRESSES_BYTES, HEADER_BYTES
from vpnws.wire.records import MAX_PIECE_BYTES, NOTHING_TO_DO, PREFIX_BYTES, plain_prefix
from vpnws.wire.told import may_tell_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vpnws.wire.train import Judge, Piece, T, Train


class PlainTrain:
    """Plain frames with the same addresses."""

    __slots__ = ("_frames", "_longest_bytes", "_shortest_bytes", "addresses", "count", "size_bytes")

    is_plain = True
    label = b""

    def __init__(
        self,
        addresses: bytes,
        frames: list[bytes],
        size_bytes: int,
        shortest_bytes: int,
        longest_bytes: int,
    ) -> None:
        """All frames begin with `addresses`; together they have `size_bytes`."""
        self.addresses = addresses
        self.count = len(frames)
        self.size_bytes = size_bytes
        self._shortest_bytes = shortest_bytes
        self._longest_bytes = longest_bytes
        self._frames = frames

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether every frame has a header and at most `max_frame_bytes`."""
        return self._longest_bytes <= max_frame_bytes and self._shortest_bytes >= HEADER_BYTES

    def frames(self) -> list[bytes]:
        """Return the frames."""
        return self._frames

    def may_tell(self) -> bool:
        """Return at a glance whether a frame may tell an IP address; its length may (see told)."""
        return self.count > 1 or may_tell_at(self._frames[0], 0, self.size_bytes)

    def packets(self) -> list[bytes]:
        """Return the frames."""
        return self._frames

    def packet_count(self) -> int:
        """Return how many frames there are."""
        return self.count

    def records(self) -> list[bytes]:
        """Return the frames as pieces of records, joined."""
        if self.count == 1:
            return [plain_prefix(self.size_bytes) + self._frames[0]]
        return [b"".join(parts) for parts, _size_bytes, _count in self.pieces()]

    def pieces(self) -> list[Piece]:
        """Return the frames as pieces of records."""
        if self.count == 1 or self.size_bytes > MAX_PIECE_BYTES * self.count:
            sizes = map(len, self._frames)
            pairs = zip(self._frames, sizes, strict=True)
            return [((plain_prefix(size), one), PREFIX_BYTES + size, 1) for one, size in pairs]
        pieces: list[Piece] = []
        parts: list[bytes] = []
        count = size_bytes = 0
        for frame in self._frames:
            record_bytes = PREFIX_BYTES + len(frame)
            if count and size_bytes + record_bytes > MAX_PIECE_BYTES:
                pieces.append((parts, size_bytes, count))
                parts, count, size_bytes = [], 0, 0
            parts += (plain_prefix(record_bytes - PREFIX_BYTES), frame)
            count += 1
            size_bytes += record_bytes
        pieces.append((parts, size_bytes, count))
        return pieces

    def split(self) -> Iterator[Train]:
        """Yield each frame as a train of its own."""
        return map(_sole_train, self._frames)

    def detached(self) -> Train:
        """Return the train: nothing else is in its messages."""
        return self

    def sift(self, judge: Judge[T]) -> Iterator[tuple[Train, T]]:
        """Yield frames in a row that `judge` judges alike, and the judgement."""
        said = [judge(NOTHING_TO_DO, frame, 0, len(frame)) for frame in self._frames]
        for verdict, pairs in groupby(zip(said, self._frames, strict=True), itemgetter(0)):
            frames = [frame for _said, frame in pairs]
            sizes = list(map(len, frames))
            part = PlainTrain(self.addresses, frames, sum(sizes), min(sizes), max(sizes))
            yield part, verdict


def read_frames(frames: Sequence[bytes]) -> Iterable[Train]:
    """Return the trains of plain frames, which came in in this order."""
    return (_sole_train(frames[0]),) if len(frames) == 1 else _read_frames(frames)


def _sole_train(frame: bytes) -> PlainTrain:
    size_bytes = len(frame)
    return PlainTrain(frame[:ADDRESSES_BYTES], [frame], size_bytes, size_bytes, size_bytes)


def _read_frames(frames: Iterable[bytes]) -> Iterator[Train]:
    train_addresses = b""
    members: list[bytes] = []
    size_bytes = shortest_bytes = longest_bytes = 0
    for frame in frames:
        size = len(frame)
        addresses = frame[:ADDRESSES_BYTES]
        if addresses == train_addresses and members:
            members.append(frame)
            size_bytes += size
            if size > longest_bytes:
                longest_bytes = size
            elif size < shortest_bytes:
                shortest_bytes = size
            continue
        if members:
            yield PlainTrain(train_addresses, members, size_bytes, shortest_bytes, longest_bytes)
        train_addresses, members = addresses, [frame]
        size_bytes = shortest_bytes = longest_bytes = size
    if members:
        yield PlainTrain(train_addresses, members, size_bytes, shortest_bytes, longest_bytes)
