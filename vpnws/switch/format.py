"""How a port's queue holds frames, and how what is queued becomes what is written.

A frame comes from a plain port by itself, from an offload port in a run: records (see
wire/offload) of one path that stood next to each other in a message. Between offload ports, and
over trunks, a run is passed on as it is; toward a plain port its records become plain frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from vpnws.switch.queue.queue import WHOLE_FRAMES, Layout
from vpnws.wire import offload, run, trunk, websocket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vpnws.switch.port import Origin
    from vpnws.switch.queue.queue import EgressQueue

MESSAGE_BYTES: Final = 16384
"""Records share a message of at most this length; a longer record has one alone. A station cannot
use the first frame before the end of the message."""


Item: TypeAlias = "tuple[bytes, int, int]"
"""What a queue is given: bytes, how many frames they hold, and the bytes of those."""


def _payload_at(message: bytes) -> int:
    """Return where the payload of a server's message begins (RFC 6455 5.2)."""
    return {126: 4, 127: 10}.get(message[1], 2)


def _split_item(item: bytes) -> Iterator[bytes]:
    for label, records, _frames in trunk.decode_items(item):
        for record in run.split(records):
            yield trunk.encode_item(label, record, 1)


def _controls(queue: EgressQueue) -> list[bytes | memoryview]:
    """Take the control messages as one buffer, for there may be more than one write takes."""
    return [b"".join(queue.take_controls())] if queue.controls else []


class Format(Protocol):
    """One way to queue frames and to write what is queued; ports of a kind share one."""

    layout: Layout

    def one(self, origin: Origin, frame: bytes) -> bytes:
        """Return the item that holds a plain frame."""

    def run(self, origin: Origin, records: bytes, frames: int) -> Iterable[Item]:
        """Return the items that hold a run of `frames` records."""

    def gather(
        self, queue: EgressQueue, most_bytes: int, most_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take about `most_bytes` off the queue, as the buffers of one gathered write."""


class WholeItems:
    """Items are written as they are, each by itself or all in one message."""

    def gather(
        self, queue: EgressQueue, most_bytes: int, most_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take whole items; where there are pings and pongs they go first."""
        buffers = _controls(queue)
        buffers += queue.take(most_bytes, most_buffers - len(buffers), now)
        return buffers


class PlainMessages(WholeItems):
    """One WebSocket message per frame: a station without a subprotocol that we know."""

    layout = Layout(frame_at=_payload_at, split=lambda item: (item,))

    def one(self, _origin: Origin, frame: bytes) -> bytes:
        """Write a message."""
        return websocket.encode_binary(frame)

    def run(self, _origin: Origin, records: bytes, _frames: int) -> Iterator[Item]:
        """Write a message for every packet that comes of the run."""
        return ((websocket.encode_binary(frame), 1, len(frame)) for frame in run.cut(records))


class Records:
    """Records, joined into messages when they are written: a station of `vpnws.offload.1`."""

    layout = Layout(frame_at=lambda _item: offload.PREFIX_BYTES, split=run.split)

    def one(self, _origin: Origin, frame: bytes) -> bytes:
        """Write a record."""
        return offload.encode_record(frame)

    def run(self, _origin: Origin, records: bytes, frames: int) -> Iterable[Item]:
        """Leave the run as it is."""
        return ((records, frames, len(records) - frames * offload.PREFIX_BYTES),)

    def gather(
        self, queue: EgressQueue, most_bytes: int, most_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take records and put what fits MESSAGE_BYTES into one message, then the next."""
        buffers = _controls(queue)
        while queue.size_bytes and most_bytes > 0 and len(buffers) + 2 <= most_buffers:
            batch = queue.take(MESSAGE_BYTES, most_buffers - len(buffers) - 1, now)
            if not batch:
                break  # What waited was dropped for having waited too long.
            size_bytes = sum(map(len, batch))
            buffers.append(websocket.encode_header(websocket.BINARY, size_bytes))
            buffers += batch
            most_bytes -= size_bytes
        return buffers


class PlainFrames(WholeItems):
    """Frames as they are: a TAP without virtio headers."""

    layout = WHOLE_FRAMES

    def one(self, _origin: Origin, frame: bytes) -> bytes:
        """Leave the frame as it is."""
        return frame

    def run(self, _origin: Origin, records: bytes, _frames: int) -> Iterator[Item]:
        """Return every packet that comes of the run."""
        return ((frame, 1, len(frame)) for frame in run.cut(records))


class TapRecords(Records):
    """Records for a TAP with virtio headers, which takes what stands behind the length."""

    def gather(
        self, queue: EgressQueue, most_bytes: int, most_buffers: int, now: float
    ) -> list[bytes | memoryview]:
        """Take records, each for a write of its own."""
        return [
            memoryview(record)[offload.LENGTH_BYTES :]
            for item in queue.take(most_bytes, most_buffers, now)
            for record in run.split(item)
        ]


class TrunkItems(WholeItems):
    """Runs with the label of where they came in: a trunk."""

    layout = Layout(
        frame_at=lambda item: trunk.run_at(item) + offload.PREFIX_BYTES, split=_split_item
    )

    def one(self, origin: Origin, frame: bytes) -> bytes:
        """Write an item of one record."""
        return trunk.encode_frame(origin.label, frame)

    def run(self, origin: Origin, records: bytes, frames: int) -> Iterable[Item]:
        """Put the label before the run."""
        item = trunk.encode_item(origin.label, records, frames)
        return ((item, frames, len(records) - frames * offload.PREFIX_BYTES),)


PLAIN_MESSAGES: Final = PlainMessages()
RECORDS: Final = Records()
PLAIN_FRAMES: Final = PlainFrames()
TAP_RECORDS: Final = TapRecords()
TRUNK_ITEMS: Final = TrunkItems()


def for_station(subprotocol: str) -> Format:
    """Return the format of a station that speaks `subprotocol`."""
    return RECORDS if subprotocol == offload.SUBPROTOCOL else PLAIN_MESSAGES
