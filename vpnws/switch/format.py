"""The formats of ports: each one reads messages as trains, and writes trains as queue items.

| port | what comes in | a train goes out as |
|---|---|---|
| plain station | one message for each frame | one message for each packet |
| offload station | messages of records | records, which share messages when they are written |
| TAP with virtio headers | records | records, each in its own write |
| TAP without | frames | packets |
| trunk | items: a label and a train | items, one for each piece of the train |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from vpnws.wire import trunk
from vpnws.wire.plain_train import read_frames
from vpnws.wire.record_train import from_trunk, read_records
from vpnws.wire.records import (
    MAX_RECORDS_BYTES,
    PREFIX_BYTES,
    SUBPROTOCOL,
    split_records,
)
from vpnws.wire.websocket import BINARY, encode_binary, encode_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpnws.switch.queue.queue import EgressQueue
    from vpnws.wire.train import Train

MESSAGE_BYTES: Final = 16384
"""Records share a message of at most this length; a longer record has its own message. A station
can use no frame of a message before the whole message has come."""

Written: TypeAlias = "tuple[list[bytes], int]"
"""What a queue gets for a train: its items, and the bytes of the frames in them."""


class Format(Protocol):
    """One way to read and write frames. All ports of a kind share one format."""

    def max_message_bytes(self, max_frame_bytes: int) -> int:
        """Return the longest message at a port whose longest frame is `max_frame_bytes`."""

    def read(self, messages: Sequence[bytes]) -> Iterable[Train]:
        """Return the trains in `messages`, in order."""

    def write(self, train: Train, label: bytes) -> Written:
        """Return the queue items for `train`; `label` says where it came in."""

    def frame_at(self, item: bytes) -> int:
        """Return where the first Ethernet frame of an item begins."""

    def split(self, item: bytes) -> Iterable[bytes]:
        """Split an item of several frames into items of one frame each."""

    def gather(
        self, queue: EgressQueue, max_bytes: int, max_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take about `max_bytes` off the queue; return the buffers of one gathered write."""


class PlainFrames:
    """Frames as they are: a TAP without virtio headers."""

    def max_message_bytes(self, max_frame_bytes: int) -> int:
        """Return `max_frame_bytes`: a message is a frame."""
        return max_frame_bytes

    def read(self, messages: Sequence[bytes]) -> Iterable[Train]:
        """Return trains of plain frames."""
        return read_frames(messages)

    def write(self, train: Train, _label: bytes) -> Written:
        """Return every packet as an item."""
        packets = train.packets()
        return packets, train.size_bytes if train.is_plain else sum(map(len, packets))

    def frame_at(self, _item: bytes) -> int:
        """Return 0: an item is a frame."""
        return 0

    def split(self, item: bytes) -> Iterable[bytes]:
        """Return the item: it has one frame."""
        return (item,)

    def gather(
        self, queue: EgressQueue, max_bytes: int, max_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take items; pings and pongs go first."""
        buffers: list[bytes | memoryview] = _controls(queue) if queue.controls else []
        buffers += queue.take(max_bytes, max_buffers - len(buffers), now)
        return buffers


class PlainMessages(PlainFrames):
    """One WebSocket message per frame: a station without a subprotocol that we know."""

    def write(self, train: Train, _label: bytes) -> Written:
        """Return a message for every packet."""
        packets = train.packets()
        size_bytes = train.size_bytes if train.is_plain else sum(map(len, packets))
        if len(packets) == 1:
            return [encode_binary(packets[0])], size_bytes
        return list(map(encode_binary, packets)), size_bytes

    def frame_at(self, item: bytes) -> int:
        """Return where the payload of a server's message begins (RFC 6455 5.2)."""
        return {126: 4, 127: 10}.get(item[1], 2)


class Records:
    """Records, joined into messages when they are written: a station of `vpnws.offload.1`."""

    def max_message_bytes(self, _max_frame_bytes: int) -> int:
        """Return the bound of a message of records."""
        return MAX_RECORDS_BYTES

    def read(self, messages: Sequence[bytes]) -> Iterable[Train]:
        """Return the trains of each message of records."""
        return read_records(messages)

    def write(self, train: Train, _label: bytes) -> Written:
        """Return the train's records."""
        return train.records(), train.size_bytes

    def frame_at(self, _item: bytes) -> int:
        """Return where the frame of a record begins."""
        return PREFIX_BYTES

    def split(self, item: bytes) -> Iterable[bytes]:
        """Return each record."""
        return split_records(item)

    def gather(
        self, queue: EgressQueue, max_bytes: int, max_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take records and fill messages of MESSAGE_BYTES, one after the other."""
        buffers: list[bytes | memoryview] = _controls(queue) if queue.controls else []
        while queue.size_bytes and max_bytes > 0 and len(buffers) + 2 <= max_buffers:
            batch = queue.take(MESSAGE_BYTES, max_buffers - len(buffers) - 1, now)
            if not batch:
                break  # Every record had waited too long and was dropped.
            size_bytes = sum(map(len, batch))
            buffers.append(encode_header(BINARY, size_bytes))
            buffers += batch
            max_bytes -= size_bytes
        return buffers


class TapRecords(Records):
    """Records for a TAP with virtio headers: it takes each without its length."""

    def gather(
        self, queue: EgressQueue, max_bytes: int, max_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take records; each is for its own write."""
        items = queue.take(max_bytes, max_buffers, now)
        return [record for item in items for record in split_records(item)]


class TrunkItems(PlainFrames):
    """A trunk's items: a train, with the label that says where it came in."""

    def read(self, messages: Sequence[bytes]) -> Iterable[Train]:
        """Return the train of each item."""
        return [from_trunk(*item) for message in messages for item in trunk.decode_items(message)]

    def write(self, train: Train, label: bytes) -> Written:
        """Return an item for each piece of the train."""
        items = [trunk.encode_item(label, *piece) for piece in train.pieces()]
        return items, train.size_bytes

    def frame_at(self, item: bytes) -> int:
        """Return where the first record's frame begins."""
        return trunk.records_at(item) + PREFIX_BYTES

    def split(self, item: bytes) -> Iterable[bytes]:
        """Return an item for each record."""
        for label, records, _count in trunk.decode_items(item):
            for record in split_records(records):
                yield trunk.encode_item(label, (record,), len(record), 1)


PLAIN_MESSAGES: Final = PlainMessages()
RECORDS: Final = Records()
PLAIN_FRAMES: Final = PlainFrames()
TAP_RECORDS: Final = TapRecords()
TRUNK_ITEMS: Final = TrunkItems()


def for_station(subprotocol: str) -> Format:
    """Return the format of a station that speaks `subprotocol`."""
    return RECORDS if subprotocol == SUBPROTOCOL else PLAIN_MESSAGES


def _controls(queue: EgressQueue) -> list[bytes | memoryview]:
    """Take the control messages as one buffer: there may be too many for one write."""
    return [b"".join(queue.take_controls())]
