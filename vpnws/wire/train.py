"""Trains: frames that came in together, one after the other, and go the same way.

Every frame travels through the switch in a train, alone or with others. All its frames have the
same addresses; records also have the same virtio header. A train is read from what one port
received, and written as what another port takes: packets as they are on a wire, or records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import is_sound, plain_frames, segment_count
from vpnws.wire.records import (
    KEY_BYTES,
    LENGTH_BYTES,
    MAX_PIECE_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    VNET_BYTES,
    each_record,
    plain_prefix,
    sole_key,
    walk_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Train(Protocol):
    """What the forwarding process asks of a train."""

    addresses: bytes
    """Destination and source, 6 bytes each; shorter if a frame is too short to have them."""
    count: int
    """How many frames it has."""
    size_bytes: int
    """The bytes of its frames, without the prefixes of records."""
    is_plain: bool
    """Whether its frames are complete: no virtio header leaves anything to do."""
    label: bytes
    """Where a train from another process came in; empty for every other train."""

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether every frame is sound, and none of its packets is longer than that."""

    def frames(self) -> list[bytes]:
        """Return the frames as they came in, each without its virtio header."""

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire: cut, with complete checksums."""

    def packet_count(self) -> int:
        """Return how many packets there are, or a few too many."""

    def records(self) -> list[bytes]:
        """Return the train as pieces: records, MAX_PIECE_BYTES together or one that is longer."""

    def pieces(self) -> list[Piece]:
        """Return the same pieces, each as parts that are not joined yet."""

    def split(self) -> Iterator[Train]:
        """Yield each frame as a train of its own."""


Piece: TypeAlias = "tuple[Sequence[bytes], int, int]"
"""(parts, size_bytes, count): the parts, joined, are `count` records of `size_bytes` together."""


class PlainTrain:
    """Plain frames with the same addresses and the same type."""

    __slots__ = ("_frames", "_header", "_longest_bytes", "addresses", "count", "size_bytes")

    is_plain = True
    label = b""

    def __init__(
        self, header: bytes, frames: list[bytes], size_bytes: int, longest_bytes: int
    ) -> None:
        """All frames begin with `header`; together they have `size_bytes`."""
        self.addresses = header[:12]
        self.count = len(frames)
        self.size_bytes = size_bytes
        self._header = header
        self._longest_bytes = longest_bytes
        self._frames = frames

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether every frame has a header and at most `max_frame_bytes`."""
        return self._longest_bytes <= max_frame_bytes and len(self._header) == HEADER_BYTES

    def frames(self) -> list[bytes]:
        """Return the frames."""
        return self._frames

    def packets(self) -> list[bytes]:
        """Return the frames."""
        return self._frames

    def packet_count(self) -> int:
        """Return how many frames there are."""
        return self.count

    def records(self) -> list[bytes]:
        """Return the frames as pieces of records, joined."""
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
        for frame in self._frames:
            yield PlainTrain(frame[:HEADER_BYTES], [frame], len(frame), len(frame))


Span: TypeAlias = "tuple[bytes, int, int, int]"
"""(message, start, stop, count): `count` records of one key in a message: a piece, as it came."""


class RecordTrain:
    """Records with the same addresses and the same virtio header."""

    __slots__ = (
        "_longest_bytes",
        "_spans",
        "addresses",
        "count",
        "is_plain",
        "label",
        "size_bytes",
        "vnet",
    )

    def __init__(
        self,
        key: bytes,
        spans: list[Span],
        count: int,
        size_bytes: int,
        longest_bytes: int,
        label: bytes = b"",
    ) -> None:
        """`size_bytes` is the length of all records, `longest_bytes` that of the longest frame."""
        self.vnet = key[:VNET_BYTES]
        self.addresses = key[VNET_BYTES:]
        self.count = count
        # A broken rest of a message may be shorter than a prefix.
        self.size_bytes = max(0, size_bytes - PREFIX_BYTES * count)
        self.is_plain = self.vnet == NOTHING_TO_DO
        self.label = label
        self._spans = spans
        self._longest_bytes = longest_bytes

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether the virtio header is true of every frame (see `offload.is_sound`)."""
        if self.is_plain:
            return self._longest_bytes <= max_frame_bytes
        vnet = self.vnet
        if self.count == 1:
            message, start, stop, _count = self._spans[0]
            at = start + PREFIX_BYTES
            return is_sound(vnet, message, at, stop - at, max_frame_bytes)
        return all(
            is_sound(vnet, message, at, size, max_frame_bytes)
            for message, at, size in self._each_frame()
        )

    def frames(self) -> list[bytes]:
        """Return the frames, without prefixes."""
        if self.count == 1:
            message, start, stop, _count = self._spans[0]
            return [message[start + PREFIX_BYTES : stop]]
        return [message[at : at + size] for message, at, size in self._each_frame()]

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire. The train must be sound."""
        if self.is_plain:
            return self.frames()
        return [packet for frame in self.frames() for packet in plain_frames(self.vnet, frame)]

    def packet_count(self) -> int:
        """Return how many packets there are, or a few too many (see `offload.segment_count`)."""
        if self.is_plain:
            return self.count
        return sum(segment_count(self.vnet, size) for _message, _at, size in self._each_frame())

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
        key = self.vnet + self.addresses
        for message, at, size in self._each_frame():
            start, stop = at - PREFIX_BYTES, at + size
            span = message, start, stop, 1
            yield RecordTrain(key, [span], 1, stop - start, size, self.label)

    def _each_frame(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield (message, where the frame begins, its length in bytes) for each frame."""
        for message, start, stop, _count in self._spans:
            for _vnet, at, size in each_record(message, start, stop):
                yield message, at, size


def from_trunk(label: bytes, records: bytes, count: int) -> RecordTrain:
    """Return the train of a trunk's item: `count` records of one key."""
    size_bytes = len(records)
    key = records[LENGTH_BYTES : LENGTH_BYTES + KEY_BYTES]
    span = records, 0, size_bytes, count
    return RecordTrain(key, [span], count, size_bytes, size_bytes, label)


def read_records(messages: Sequence[bytes]) -> Iterable[Train]:
    """Return the trains in messages of records. A broken end is a train (see `walk_pieces`)."""
    if len(messages) == 1 and (key := sole_key(messages[0])):
        size_bytes = len(messages[0])
        return (
            RecordTrain(
                key, [(messages[0], 0, size_bytes, 1)], 1, size_bytes, size_bytes - PREFIX_BYTES
            ),
        )
    return _read_records(messages)


def read_frames(frames: Sequence[bytes]) -> Iterable[Train]:
    """Return the trains of plain frames, which came in in this order."""
    if len(frames) == 1:
        size_bytes = len(frames[0])
        return (PlainTrain(frames[0][:HEADER_BYTES], [frames[0]], size_bytes, size_bytes),)
    return _read_frames(frames)


def _read_records(messages: Iterable[bytes]) -> Iterator[Train]:
    train_key = b""
    spans: list[Span] = []
    train_count = size_bytes = longest_bytes = 0
    for message in messages:
        for key, count, longest, start, stop in walk_pieces(message, MAX_PIECE_BYTES):
            if key == train_key and key:
                spans.append((message, start, stop, count))
                train_count += count
                size_bytes += stop - start
                if longest > longest_bytes:
                    longest_bytes = longest
                continue
            if spans:
                yield RecordTrain(train_key, spans, train_count, size_bytes, longest_bytes)
            train_key, spans = key, [(message, start, stop, count)]
            train_count, size_bytes, longest_bytes = count, stop - start, longest
    if spans:
        yield RecordTrain(train_key, spans, train_count, size_bytes, longest_bytes)


def _read_frames(frames: Iterable[bytes]) -> Iterator[Train]:
    train_header = b""
    members: list[bytes] = []
    size_bytes = longest_bytes = 0
    for frame in frames:
        size = len(frame)
        header = frame[:HEADER_BYTES]
        if header == train_header and members:
            members.append(frame)
            size_bytes += size
            if size > longest_bytes:
                longest_bytes = size
            continue
        if members:
            yield PlainTrain(train_header, members, size_bytes, longest_bytes)
        train_header, members, size_bytes, longest_bytes = header, [frame], size, size
    if members:
        yield PlainTrain(train_header, members, size_bytes, longest_bytes)
