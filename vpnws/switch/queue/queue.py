"""A port's egress queue: in order while the port keeps up, flow by flow when it does not.

An item is what is written for one frame or for a train: a WebSocket message, records, a trunk's
item, a frame. The port's format knows how its items hold frames.

The link writes `rest` first, then `controls`, then what `take` returns. When the socket is full,
the link calls `keep` with what the socket did not take, and sets `backed_up`; only the queue ends
that. From then on the link takes less at a time, because what was taken cannot be dropped any more.
No item, control message or buffer of a rest is empty.

While backed up, every item holds one frame and belongs to a flow (`flow.py`). A frame that waits
too long is marked or dropped (`codel.py`). What is over the bounds is dropped from the fattest
flow.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.queue.codel import DEFAULT, Control
from vpnws.switch.queue.flow import MIN_ITEM_BYTES, Flow, Flows
from vpnws.switch.queue.items import BARE_FRAMES, ItemFormat
from vpnws.switch.queue.state import QueueCounts, QueueState
from vpnws.wire.headers import flow_key
from vpnws.wire.marks import mark_ce

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROL_RESERVE_BYTES = 4096
"""Pings and pongs have this much room of their own, so frames cannot crowd them out. What does not
fit is not queued."""


class EgressQueue:
    """What waits to be written to a port; an item that was begun is always finished."""

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
        "limit_items",
        "rest",
        "size_bytes",
    )

    def __init__(
        self, limit_bytes: int, format_: ItemFormat = BARE_FRAMES, control: Control = DEFAULT
    ) -> None:
        """`limit_bytes` bounds what waits; an empty queue takes an item of any length.

        `control` says how long a flow's frames may wait.
        """
        self.limit_bytes = limit_bytes
        self.limit_items = max(1, limit_bytes // MIN_ITEM_BYTES)
        self.format = format_
        """May be set later, before the first push."""
        self.drops: Counter[Drop] = Counter()
        """Frames dropped, by reason; the port counts in the same object."""
        self.counts = QueueCounts()
        self.size_bytes = 0
        """All that waits, `rest` and `controls` with it."""
        self.backed_up = False
        """Whether the socket is full: the link sets it; an empty queue clears it."""
        self.controls: deque[bytes] = deque()
        self.rest: list[bytes | memoryview] = []
        """What the socket did not take of the last write. It is always written next; see `keep`."""
        self._fifo: deque[bytes] = deque()
        """Items in order, not classified yet: all of them, unless backed up."""
        self._flows = Flows()
        self._control = control
        self._rest_bytes = 0
        self._other_bytes = 0
        """The bytes of `rest` and `controls` together."""

    def push(self, items: Sequence[bytes], frames: int, size_bytes: int, now: float) -> None:
        """Queue `items`, which hold `frames` frames of `size_bytes` in all.

        What finds no room is dropped and counted. While backed up, frames of another flow may be
        dropped instead.
        `now` is in seconds.
        """
        self.counts.offered_frames += frames
        self.counts.offered_bytes += size_bytes
        if self.backed_up:
            self._push_fair(items, frames, now)
            return
        count, fifo = len(items), self._fifo
        waiting_bytes = self.size_bytes + (len(items[0]) if count == 1 else sum(map(len, items)))
        if waiting_bytes <= self.limit_bytes and len(fifo) + count <= self.limit_items:
            fifo.extend(items)
            self.size_bytes = waiting_bytes
        else:
            for item in items:
                self._push_last(item)

    def push_control(self, message: bytes) -> bool:
        """Put a control message before the frames: a slow station must not seem dead.

        Return False, and do nothing, when it does not fit CONTROL_RESERVE_BYTES.
        """
        if self._controls_bytes() + len(message) > CONTROL_RESERVE_BYTES:
            return False
        self.controls.append(message)
        self._other_bytes += len(message)
        self.size_bytes += len(message)
        return True

    def take(self, most_bytes: int, most_items: int, now: float) -> list[bytes]:
        """Take the next items, together within both bounds, but at least one if there is one."""
        if self.backed_up:
            return self._take_fair(most_bytes, most_items, now)
        fifo = self._fifo
        if self.size_bytes > most_bytes or len(fifo) > most_items:
            return self._take_front(fifo, most_bytes, most_items)
        items = list(fifo)
        fifo.clear()
        self.size_bytes = self._other_bytes
        return items

    def take_controls(self) -> list[bytes]:
        """Take all control messages."""
        messages = list(self.controls)
        self.controls.clear()
        self.size_bytes -= self._controls_bytes()
        self._other_bytes = self._rest_bytes
        if not self.size_bytes:
            self.backed_up = False
        return messages

    def keep(self, rest: Sequence[bytes | memoryview]) -> None:
        """Make `rest` what the socket has not taken, in place of what it was before."""
        self.rest = list(rest)
        rest_bytes = sum(map(len, self.rest))
        self._other_bytes += rest_bytes - self._rest_bytes
        self.size_bytes += rest_bytes - self._rest_bytes
        self._rest_bytes = rest_bytes
        if not self.size_bytes:
            self.backed_up = False

    def state(self) -> QueueState:
        """Return the queue as plain data, without `controls` and `rest`."""
        return QueueState(
            items=list(self._fifo),
            flows=self._flows.state(),
            backed_up=self.backed_up,
            drops=self.drops.copy(),
            counts=replace(self.counts),
        )

    def resume(self, state: QueueState) -> None:
        """Go on with the queue of another process; call it once, before the first push."""
        self._fifo.extend(state.items)
        frame_at = self.format.frame_at
        self._flows.resume(state.flows, lambda item: flow_key(item, frame_at(item)))
        waiting = [state.items, *(flow.items for flow in state.flows)]
        self.size_bytes += sum(len(item) for items in waiting for item in items)
        self.backed_up = state.backed_up
        self.drops.update(state.drops)
        self.counts = replace(state.counts)

    @property
    def begun(self) -> bool:
        """Whether something is half written: nothing else may be written before its end."""
        return self._rest_bytes > 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return self.size_bytes > 0

    def _controls_bytes(self) -> int:
        return self._other_bytes - self._rest_bytes

    def _is_full(self, item: bytes) -> bool:
        """Tell whether `item` exceeds a bound. Controls do not count; an empty queue has room."""
        held_bytes = self.size_bytes - self._controls_bytes()
        too_long = held_bytes + len(item) > self.limit_bytes
        return held_bytes > 0 and (too_long or len(self._fifo) >= self.limit_items)

    def _push_last(self, item: bytes) -> None:
        """Queue an item for which there may be no room."""
        if self._is_full(item):
            for part in self.format.split(item):
                self._count_dropped(part, Drop.EGRESS_FULL)
        else:
            self._fifo.append(item)
            self.size_bytes += len(item)

    def _count_dropped(self, item: bytes, reason: Drop) -> None:
        """Count the one frame of `item` as dropped."""
        self.drops[reason] += 1
        self.counts.discarded_frames += 1
        self.counts.discarded_bytes += len(item) - self.format.frame_at(item)

    def _take_front(self, fifo: deque[bytes], most_bytes: int, most_items: int) -> list[bytes]:
        items: list[bytes] = []
        size_bytes = 0
        while fifo and len(items) < max(1, most_items):
            if items and size_bytes + len(fifo[0]) > most_bytes:
                break
            items.append(fifo.popleft())
            size_bytes += len(items[-1])
        self.size_bytes -= size_bytes
        return items

    def _push_fair(self, items: Sequence[bytes], frames: int, now: float) -> None:
        if self._fifo:
            self._classify(now)
        for item in items:
            self.size_bytes += len(item)
            self._enqueue(item, frames > len(items), now)
        self._trim()

    def _classify(self, now: float) -> None:
        """Give the items that came before the port was backed up to their flows, in order."""
        for item in self._fifo:
            self._enqueue(item, True, now)
        self._fifo.clear()
        self._trim()

    def _enqueue(self, item: bytes, several: bool, now: float) -> None:
        """Give `item`, which is in size_bytes, to its flow; each frame of a train to its own."""
        format_ = self.format
        if not several:
            self._flows.push(flow_key(item, format_.frame_at(item)), item, now)
            return
        self.size_bytes -= len(item)
        for part in format_.split(item):
            self.size_bytes += len(part)
            self._flows.push(flow_key(part, format_.frame_at(part)), part, now)

    def _trim(self) -> None:
        """Drop what is over the bounds, from the head of the fattest flow each time."""
        flows = self._flows
        least = 0 if self._rest_bytes else 1
        limit_bytes = self.limit_bytes + self._controls_bytes()
        while flows.count > least and (
            flows.count > self.limit_items or self.size_bytes > limit_bytes
        ):
            self._discard(flows.pop(flows.fattest())[0], Drop.EGRESS_FULL)

    def _discard(self, item: bytes, reason: Drop) -> None:
        """Drop `item`, which is in no flow any more and has one frame."""
        self.size_bytes -= len(item)
        self._count_dropped(item, reason)

    def _take_fair(self, most_bytes: int, most_items: int, now: float) -> list[bytes]:
        if self._fifo:
            self._classify(now)
        items = self._take_flows(most_bytes, most_items, now)
        if not self.size_bytes:
            self.backed_up = False
        return items

    def _take_flows(self, most_bytes: int, most_items: int, now: float) -> list[bytes]:
        """Take what is next, flow by flow, within the bounds."""
        flows = self._flows
        items: list[bytes] = []
        room_bytes = most_bytes
        while len(items) < most_items or not items:
            flow = flows.next()
            if flow is None or (items and len(flow.items[0][0]) > room_bytes):
                break
            item = self._pop(flow, now)
            if item is not None:
                flow.deficit_bytes -= len(item)
                self.size_bytes -= len(item)
                room_bytes -= len(item)
                items.append(item)
        return items

    def _pop(self, flow: Flow, now: float) -> bytes | None:
        """Take the first item of `flow`, marked where CoDel says so; None if it was dropped."""
        item, since_s = self._flows.pop(flow)
        if not flow.codel.judge(now - since_s, flow.is_short, now, self._control):
            return item
        marked = mark_ce(item, self.format.frame_at(item))
        if marked is None:
            self._discard(item, Drop.CODEL)
        elif marked is not item:
            self.counts.marked += 1
        return marked
