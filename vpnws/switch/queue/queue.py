"""A port's egress queue: in order while the port keeps up, flow by flow when it does not.

An item is what is written for one frame or for a train: a WebSocket message, records, a trunk's
item, or a frame. The port's format knows how its items hold frames.

The link writes `rest` first, then `controls`, then what `take` returns. When the socket is full,
the link calls `keep` with what the socket did not take, and sets `backed_up`; only the queue clears
it. From then on the link takes less at a time, because what it has taken can no longer be dropped.
No item, control message or buffer of `rest` is empty.

While backed up, every item holds one frame and belongs to a flow (`flow.py`). A frame that waits
too long is marked or dropped (`codel.py`). When the queue exceeds its bound, the fattest flow
loses its oldest frames.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from itertools import chain
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.queue.codel import DEFAULT, Control
from vpnws.switch.queue.delay import DELAY_BOUNDS_S
from vpnws.switch.queue.flow import ITEM_BYTES, Flow, Flows
from vpnws.switch.queue.items import BARE_FRAMES, ItemFormat
from vpnws.switch.queue.state import QueueCounts, QueueState
from vpnws.wire.headers import flow_key
from vpnws.wire.marks import mark_ce

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpnws.switch.witness import Witness

CONTROL_RESERVE_BYTES = 4096
"""This much room is reserved for pings and pongs, so frames cannot crowd them out. A control
message that does not fit is not queued."""


class EgressQueue:
    """What waits to be written to a port. Once an item is partly written, it is always finished."""

    __slots__ = (
        "_control",
        "_fifo",
        "_flows",
        "_other_bytes",
        "_rest_bytes",
        "backed_up",
        "controls",
        "counts",
        "drops",
        "format",
        "limit_bytes",
        "rest",
        "size_bytes",
        "witness",
    )

    def __init__(
        self, limit_bytes: int, format_: ItemFormat = BARE_FRAMES, control: Control = DEFAULT
    ) -> None:
        """`limit_bytes` bounds the memory of what waits; an empty queue takes an item of any size.

        `control` says how long a flow's frames may wait.
        """
        self.limit_bytes = limit_bytes
        self.format = format_
        """It may be set again before the first push."""
        self.drops: Counter[Drop] = Counter()
        """Dropped frames by reason; the port counts in the same object."""
        self.counts = QueueCounts()
        self.witness: Witness | None = None
        self.size_bytes = 0
        """Everything that waits, including `rest` and `controls`."""
        self.backed_up = False
        """Whether the socket is full. The link sets it; the queue clears it once it is empty."""
        self.controls: deque[bytes] = deque()
        self.rest: list[bytes | memoryview] = []
        """What the socket did not take of the last write. It is always written next; see `keep`."""
        self._fifo: deque[bytes] = deque()
        """Items in order that belong to no flow yet: all items, unless backed up."""
        self._flows = Flows()
        self._control = control
        self._rest_bytes = 0
        self._other_bytes = 0
        """The bytes of `rest` and `controls` together."""

    def push(self, items: Sequence[bytes], frames: int, size_bytes: int, now: float) -> None:
        """Queue `items`, which hold `frames` frames of `size_bytes` in all; `now` is in seconds.

        Items that find no room are dropped and counted. While backed up, frames of another flow may
        be dropped instead.
        """
        self.counts.offered_frames += frames
        self.counts.offered_bytes += size_bytes
        count, fifo = len(items), self._fifo
        waiting_bytes = self.size_bytes + (len(items[0]) if count == 1 else sum(map(len, items)))
        if self.backed_up:
            self._push_fair(items, frames, waiting_bytes - self.size_bytes, now)
        elif waiting_bytes + ITEM_BYTES * (len(fifo) + count) <= self.limit_bytes:
            fifo.extend(items)
            self.size_bytes = waiting_bytes
        else:
            for item in items:
                if self.is_full(item):
                    self.drop(item, Drop.EGRESS_FULL, now)
                else:
                    fifo.append(item)
                    self.size_bytes += len(item)

    def push_control(self, message: bytes) -> bool:
        """Queue a control message before all frames: a slow station must not seem dead.

        Return False, and do nothing, if it does not fit CONTROL_RESERVE_BYTES.
        """
        if self._controls_bytes() + len(message) > CONTROL_RESERVE_BYTES:
            return False
        self.controls.append(message)
        self._other_bytes += len(message)
        self.size_bytes += len(message)
        return True

    def take(self, max_bytes: int, max_items: int, now: float) -> list[bytes]:
        """Take the next items, within both bounds; if anything waits, at least one item."""
        fifo = self._fifo
        if self.backed_up:
            if fifo:
                self._classify(now)
            items = self._take_flows(max_bytes, max_items, now)
            self.backed_up = self.size_bytes > 0
        elif self.size_bytes > max_bytes or len(fifo) > max_items:
            items = self._take_front(fifo, max_bytes, max_items)
        else:
            items = list(fifo)
            fifo.clear()
            self.size_bytes = self._other_bytes
        if self.witness is not None:
            self.witness.left(items, now)
        return items

    def drop(self, item: bytes, reason: Drop, now: float) -> None:
        """Count each frame of `item`, which is not in the queue or no longer, as dropped."""
        for part in self.format.split(item):
            self._drop_one(part, reason, now)

    def take_controls(self) -> list[bytes]:
        """Take all control messages."""
        messages = list(self.controls)
        self.controls.clear()
        self.size_bytes -= self._controls_bytes()
        self._other_bytes = self._rest_bytes
        self.backed_up = self.backed_up and self.size_bytes > 0
        return messages

    def keep(self, rest: Sequence[bytes | memoryview]) -> None:
        """Replace `rest` by what the socket has not taken of the last write."""
        self.rest = list(rest)
        rest_bytes = sum(map(len, self.rest))
        self._other_bytes += rest_bytes - self._rest_bytes
        self.size_bytes += rest_bytes - self._rest_bytes
        self._rest_bytes = rest_bytes
        self.backed_up = self.backed_up and self.size_bytes > 0

    def state(self) -> QueueState:
        """Return the queue as plain data, without `controls` and `rest`."""
        return QueueState(
            items=list(self._fifo),
            flows=self._flows.state(),
            backed_up=self.backed_up,
            drops=self.drops.copy(),
            counts=self.counts.copy(),
        )

    def resume(self, state: QueueState) -> None:
        """Take over the queue of another process. Call it once, before the first push."""
        self._fifo.extend(state.items)
        frame_at = self.format.frame_at
        self._flows.resume(state.flows, lambda item: flow_key(item, frame_at(item)))
        waiting = chain(state.items, *(flow.items for flow in state.flows))
        self.size_bytes += sum(map(len, waiting))
        self.backed_up = state.backed_up
        self.drops.update(state.drops)
        self.counts = state.counts.copy()

    @property
    def begun(self) -> bool:
        """Whether an item is partly written: its rest must be written before anything else."""
        return self._rest_bytes > 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return self.size_bytes > 0

    def is_full(self, item: bytes) -> bool:
        """Return whether `item` exceeds the bound; controls do not count.

        An empty queue has room for any. One that is backed up drops from its fattest flow instead.
        """
        waiting_bytes = self.size_bytes - self._controls_bytes()
        memory_bytes = waiting_bytes + len(item) + ITEM_BYTES * (len(self._fifo) + 1)
        return waiting_bytes > 0 and memory_bytes > self.limit_bytes

    def _controls_bytes(self) -> int:
        return self._other_bytes - self._rest_bytes

    def _drop_one(self, item: bytes, reason: Drop, now: float) -> None:
        """Count the frame of `item`, which has only one, as dropped."""
        self.drops[reason] += 1
        self.counts.discard(len(item) - self.format.frame_at(item))
        if self.witness is not None:
            self.witness.left((item,), now, reason)

    def _take_front(self, fifo: deque[bytes], max_bytes: int, max_items: int) -> list[bytes]:
        items: list[bytes] = []
        size_bytes = 0
        while fifo and len(items) < max(1, max_items):
            if items and size_bytes + len(fifo[0]) > max_bytes:
                break
            items.append(fifo.popleft())
            size_bytes += len(items[-1])
        self.size_bytes -= size_bytes
        return items

    def _push_fair(self, items: Sequence[bytes], frames: int, items_bytes: int, now: float) -> None:
        if self._fifo:
            self._classify(now)
        self.size_bytes += items_bytes
        if frames > len(items):
            self._enqueue_parts(items, now)
        else:
            push, frame_at = self._flows.push, self.format.frame_at
            for item in items:
                push(flow_key(item, frame_at(item)), item, now)
        self._trim(now)

    def _classify(self, now: float) -> None:
        """Give the items that came before the port was backed up to their flows, in order."""
        self._enqueue_parts(self._fifo, now)
        self._fifo.clear()
        self._trim(now)

    def _enqueue_parts(self, items: Iterable[bytes], now: float) -> None:
        """Give each frame of `items` to its flow; their bytes are in size_bytes already."""
        for item in items:
            self.size_bytes -= len(item)
            for part in self.format.split(item):
                self.size_bytes += len(part)
                self._flows.push(flow_key(part, self.format.frame_at(part)), part, now)

    def _trim(self, now: float) -> None:
        """Drop items until the bound holds, each from the head of the fattest flow."""
        flows = self._flows
        min_items = 0 if self._rest_bytes else 1
        limit_bytes = self.limit_bytes + self._controls_bytes()
        while flows.count > min_items and self.size_bytes + flows.overhead_bytes > limit_bytes:
            item, _came_s = flows.pop(flows.fattest())
            self.size_bytes -= len(item)
            self._drop_one(item, Drop.EGRESS_FULL, now)

    def _take_flows(self, max_bytes: int, max_items: int, now: float) -> list[bytes]:
        """Take the next items, flow by flow, within both bounds."""
        flows = self._flows
        items: list[bytes] = []
        room_bytes = max_bytes
        while len(items) < max_items or not items:
            flow = flows.next()
            if flow is None or (items and len(flow.items[0]) > room_bytes):
                break
            item = self._pop(flow, now)
            if item is not None:
                size_bytes = len(item)
                flow.deficit_bytes -= size_bytes
                room_bytes -= size_bytes
                items.append(item)
        self.size_bytes -= max_bytes - room_bytes
        return items

    def _pop(self, flow: Flow, now: float) -> bytes | None:
        """Take the first item of `flow`, marked if CoDel says so; None if it was dropped."""
        item, came_s = self._flows.pop(flow)
        wait_s, control, counts = now - came_s, self._control, self.counts
        is_short = wait_s < control.target_s or flow.is_short
        if flow.codel.judge(wait_s, is_short, now, control):
            marked = mark_ce(item, self.format.frame_at(item))
            if marked is None:
                self.size_bytes -= len(item)
                self._drop_one(item, Drop.CODEL, now)
                return None
            counts.marked += marked is not item
            item = marked
        counts.delays[bisect_left(DELAY_BOUNDS_S, wait_s)] += 1
        counts.waited_s += wait_s
        return item
