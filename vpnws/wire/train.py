"""Trains: frames that came in together, stand next to each other and go the same way.

A frame travels through the switch in a train, alone or with others. What they share is both
addresses, and in records the virtio header too. A train is read from what a port received and
written as what another port takes: packets as they are on a wire, or records.
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
    encode_record,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Piece: TypeAlias = "tuple[bytes, int, int, int]"
"""A message, where in it records of one key start and stop, and how many they are."""


class Train(Protocol):
    """What the forwarding process asks of a train."""

    addresses: bytes
    """Destination and source, 6 bytes each; fewer when a frame is too short to have them."""
    count: int
    """How many frames it has."""
    size_bytes: int
    """The bytes of its frames, without what stands before each in a record."""
    is_plain: bool
    """Whether its frames are complete: there is no virtio header, or one that asks for nothing."""
    label: bytes
    """Where a train from another process came in; empty for every other."""

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Tell whether every frame is one, and no packet of it longer than `max_frame_bytes`."""

    def frames(self) -> Iterable[bytes]:
        """Return the frames as they came, each without its virtio header."""

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire: cut, with complete checksums."""

    def packet_count(self) -> int:
        """Return how many frames that makes, or a few more."""

    def records(self) -> list[bytes]:
        """Return the train as records: pieces of at most MAX_PIECE_BYTES or of one record."""

    def counts(self) -> list[int]:
        """Return how many records are in each of these pieces."""

    def split(self) -> Iterator[Train]:
        """Yield each frame as a train of its own."""


class PlainTrain:
    """Plain frames with the same addresses."""

    __slots__ = ("_frames", "addresses", "count", "size_bytes")

    is_plain = True
    label = b""

    def __init__(self, addresses: bytes, frames: list[bytes], size_bytes: int) -> None:
        """`size_bytes` is the length of all `frames` together."""
        self.addresses = addresses
        self.count = len(frames)
        self.size_bytes = size_bytes
        self._frames = frames

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Tell whether every frame has a header and at most `max_frame_bytes`."""
        if self.count == 1:
            return HEADER_BYTES <= self.size_bytes <= max_frame_bytes
        lengths = list(map(len, self._frames))
        return min(lengths) >= HEADER_BYTES and max(lengths) <= max_frame_bytes

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
        """Return the frames as records."""
        records = list(map(encode_record, self._frames))
        if self.count == 1:
            return records
        pieces = []
        for count in self.counts():
            pieces.append(b"".join(records[:count]))
            del records[:count]
        return pieces

    def counts(self) -> list[int]:
        """Return how many records are in each of these pieces."""
        if self.size_bytes + PREFIX_BYTES * self.count <= MAX_PIECE_BYTES:
            return [self.count]
        counts: list[int] = []
        room_bytes = 0
        for frame in self._frames:
            record_bytes = PREFIX_BYTES + len(frame)
            if record_bytes > room_bytes:
                counts.append(0)
                room_bytes = MAX_PIECE_BYTES
            counts[-1] += 1
            room_bytes -= record_bytes
        return counts

    def split(self) -> Iterator[Train]:
        """Yield each frame as a train of its own."""
        return (PlainTrain(self.addresses, [frame], len(frame)) for frame in self._frames)


class RecordTrain:
    """Records with the same addresses and the same virtio header."""

    __slots__ = (
        "_longest_bytes",
        "_pieces",
        "addresses",
        "count",
        "is_plain",
        "label",
        "size_bytes",
        "vnet",
    )

    def __init__(
        self, key: bytes, pieces: list[Piece], longest_bytes: int, label: bytes = b""
    ) -> None:
        """`longest_bytes` is the length of the longest frame; the others as `walk` has them."""
        self.vnet = key[:VNET_BYTES]
        self.addresses = key[VNET_BYTES:]
        self.is_plain = self.vnet == NOTHING_TO_DO
        self.label = label
        self._pieces = pieces
        self._longest_bytes = longest_bytes
        if len(pieces) == 1:
            _message, start, stop, self.count = pieces[0]
            self.size_bytes = stop - start - PREFIX_BYTES * self.count
        else:
            self.count = sum(piece[3] for piece in pieces)
            size_bytes = sum(piece[2] - piece[1] for piece in pieces)
            self.size_bytes = size_bytes - PREFIX_BYTES * self.count

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Tell whether the virtio header is true of every frame (see `offload.is_sound`)."""
        if self.is_plain:
            return self._longest_bytes <= max_frame_bytes
        vnet = self.vnet
        if self.count == 1:
            message, start, stop, _count = self._pieces[0]
            at = start + PREFIX_BYTES
            return is_sound(vnet, message, at, stop - at, max_frame_bytes)
        return all(
            is_sound(vnet, message, start + PREFIX_BYTES, size, max_frame_bytes)
            for message, size, start, _stop in self._records()
        )

    def frames(self) -> Iterator[bytes]:
        """Yield the frames as they came."""
        for message, _size, start, stop in self._records():
            yield message[start + PREFIX_BYTES : stop]

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire; the train must be sound."""
        if self.is_plain:
            return list(self.frames())
        return [packet for frame in self.frames() for packet in plain_frames(self.vnet, frame)]

    def packet_count(self) -> int:
        """Return how many packets that makes, or a few more (see `offload.segment_count`)."""
        if self.is_plain:
            return self.count
        return sum(
            segment_count(self.vnet, size) for _message, size, _start, _stop in self._records()
        )

    def records(self) -> list[bytes]:
        """Return the records."""
        return [message[start:stop] for message, start, stop, _count in self._pieces]

    def counts(self) -> list[int]:
        """Return how many there are in each piece."""
        return [piece[3] for piece in self._pieces]

    def split(self) -> Iterator[Train]:
        """Yield each record as a train of its own."""
        key = self.vnet + self.addresses
        for message, size, start, stop in self._records():
            yield RecordTrain(key, [(message, start, stop, 1)], size, self.label)

    def _records(self) -> Iterator[tuple[bytes, int, int, int]]:
        """Yield (message, length of the frame, start, stop) of each record."""
        for message, begun, end, _count in self._pieces:
            for _key, _one, size, start, stop in walk(message, 0, begun, end):
                yield message, size, start, stop


def from_trunk(label: bytes, records: bytes, count: int) -> RecordTrain:
    """Return the train of a trunk's item: `count` records that were a train when they were sent."""
    key = records[LENGTH_BYTES : LENGTH_BYTES + KEY_BYTES]
    return RecordTrain(key, [(records, 0, len(records), count)], 0, label)


def read_records(messages: Iterable[bytes]) -> Iterator[RecordTrain]:
    """Yield the trains in messages of records; see `walk` for one whose end is broken."""
    train = b""
    pieces: list[Piece] = []
    longest_bytes = 0
    for message in messages:
        for key, count, longest, start, stop in walk(message, MAX_PIECE_BYTES):
            if key == train and key:
                pieces.append((message, start, stop, count))
                longest_bytes = max(longest_bytes, longest)
                continue
            if pieces:
                yield RecordTrain(train, pieces, longest_bytes)
            train, pieces, longest_bytes = key, [(message, start, stop, count)], longest
    if pieces:
        yield RecordTrain(train, pieces, longest_bytes)


def read_frames(frames: Iterable[bytes]) -> Iterator[PlainTrain]:
    """Yield the trains of plain frames that came in one after the other."""
    path = b""
    train: list[bytes] = []
    size_bytes = 0
    for frame in frames:
        addresses = frame[:12]
        if addresses == path and train:
            train.append(frame)
            size_bytes += len(frame)
            continue
        if train:
            yield PlainTrain(path, train, size_bytes)
        path, train, size_bytes = addresses, [frame], len(frame)
    if train:
        yield PlainTrain(path, train, size_bytes)
