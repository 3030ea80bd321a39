"""Flow queueing (RFC 8290): which flow sends next, and which one has the longest queue.

Flows take turns by deficit round robin. A flow that is new, or sends less than its share, goes
first. No step costs more when there are more flows or items: flows are grouped by the power of two
of their bytes, so the fattest flow is found without a search.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from vpnws.switch.queue.codel import Codel
from vpnws.switch.queue.state import FlowState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_FLOWS = 256
"""Buckets into which the flows of one port are sorted; if there are more flows, some share one. A
power of two."""
QUANTUM_BYTES = 1514
"""A flow sends this much, then other flows have their turn."""
ITEM_BYTES = 104
"""A queue's bound counts every item as its bytes and this much: the memory that CPython takes to
keep one, with the time when it came."""
FLOW_BYTES = 2560
"""While a queue is sorted into flows, its bound counts every flow that has items as this much."""


def bucket_of(key: bytes) -> int:
    """Return the bucket of a flow's key: one of MAX_FLOWS.

    Python's hash is keyed with a secret of the process, so no sender can aim at another flow's
    bucket.
    """
    return hash(key) & (MAX_FLOWS - 1)


class Flow:
    """The items of one bucket, oldest first, each with the time when it came.

    Items and times are apart: CPython keeps freed pairs for later, and so would keep the memory
    around them.
    """

    __slots__ = ("bucket", "came_s", "codel", "deficit_bytes", "items", "rank", "weight_bytes")

    def __init__(self, bucket: int) -> None:
        """Begin without items, and with one quantum to send."""
        self.bucket = bucket
        self.items: deque[bytes] = deque()
        self.came_s: deque[float] = deque()
        self.weight_bytes = 0
        """The memory of its items."""
        self.deficit_bytes = QUANTUM_BYTES
        """What it may still send in this round; one long item may take it far below zero."""
        self.rank = 0
        self.codel = Codel()

    @property
    def is_short(self) -> bool:
        """Whether too little waits to be called a queue: one item, or less than a packet.

        RFC 8289 names only the packet. But an item may have 64 KiB, and a sender always has two
        items on their way to the receiver. So one waiting item does not show a queue.
        """
        count = len(self.items)
        return count < 2 or self.weight_bytes - ITEM_BYTES * count <= QUANTUM_BYTES


class Flows:
    """All flows of a port that is backed up."""

    __slots__ = ("_busy", "_flows", "_new", "_old", "_present", "_ranks", "count")

    def __init__(self) -> None:
        """Begin without flows; each flow begins with its first item."""
        self.count = 0
        """How many items are in all flows together."""
        self._busy = 0
        """How many flows have items."""
        self._flows: dict[int, Flow] = {}
        self._new: deque[Flow] = deque()
        self._old: deque[Flow] = deque()
        self._ranks: dict[int, dict[Flow, None]] = {}
        """Flows by rank: the number of bits of their weight."""
        self._present = 0
        """One bit for each rank that has flows."""

    @property
    def overhead_bytes(self) -> int:
        """What all of this takes besides the bytes of the items."""
        return ITEM_BYTES * self.count + FLOW_BYTES * self._busy

    def push(self, key: bytes, item: bytes, now: float) -> None:
        """Append `item` to the flow that `key` names."""
        bucket = bucket_of(key)
        flow = self._flows.get(bucket)
        if flow is None:
            flow = self._flows[bucket] = Flow(bucket)
            self._new.append(flow)
        flow.items.append(item)
        flow.came_s.append(now)
        self.count += 1
        flow.weight_bytes += ITEM_BYTES + len(item)
        if flow.weight_bytes.bit_length() != flow.rank:
            self._rank(flow)

    def next(self) -> Flow | None:
        """Return the flow whose first item is to be sent next; None if there is no item.

        The caller subtracts what it sends from the flow's `deficit_bytes`.
        """
        new, old = self._new, self._old
        passed = 0
        while self.count:
            turn = new or old
            flow = turn[0]
            if flow.deficit_bytes <= 0:
                turn.popleft()
                flow.deficit_bytes += QUANTUM_BYTES
                old.append(flow)
                passed += 1
                if passed == len(old) and not new:
                    self._skip_rounds()
            elif flow.items:
                return flow
            else:
                turn.popleft()
                if turn is new:
                    # Were it removed, its next item would make it new again, and first in line.
                    old.append(flow)
                else:
                    del self._flows[flow.bucket]
        return None

    def pop(self, flow: Flow) -> tuple[bytes, float]:
        """Take the first item of `flow`, which has one, and when it came."""
        item, came_s = flow.items.popleft(), flow.came_s.popleft()
        flow.weight_bytes -= ITEM_BYTES + len(item)
        if flow.weight_bytes.bit_length() != flow.rank:
            self._rank(flow)
        self.count -= 1
        if not self.count:
            self._forget()
        return item, came_s

    def fattest(self) -> Flow:
        """Return a flow that holds at least half as much as any other. There must be an item."""
        return next(iter(self._ranks[self._present.bit_length() - 1]))

    def state(self) -> list[FlowState]:
        """Return the flows that have items, as plain data, in the order of their turns."""
        return [
            FlowState(
                list(flow.items),
                list(flow.came_s),
                flow.deficit_bytes,
                turn is self._new,
                replace(flow.codel),
            )
            for turn in (self._new, self._old)
            for flow in turn
            if flow.items
        ]

    def resume(self, states: Iterable[FlowState], key_of: Callable[[bytes], bytes]) -> None:
        """Take over the flows of another process; `key_of` returns the flow key of an item.

        Each process hashes with its own secret: flows that shared a bucket there may not share one
        here, and others may.
        """
        for state in states:
            for item, came_s in zip(state.items, state.came_s, strict=True):
                self._resume_item(state, bucket_of(key_of(item)), item, came_s)

    def _resume_item(self, state: FlowState, bucket: int, item: bytes, came_s: float) -> None:
        flow = self._flows.get(bucket)
        if flow is None:
            flow = self._flows[bucket] = Flow(bucket)
            flow.deficit_bytes = state.deficit_bytes
            flow.codel = replace(state.codel)
            (self._new if state.is_new else self._old).append(flow)
        flow.items.append(item)
        flow.came_s.append(came_s)
        flow.weight_bytes += ITEM_BYTES + len(item)
        self.count += 1
        self._rank(flow)

    def _skip_rounds(self) -> None:
        """Skip the rounds in which no flow may send: give each flow its quanta of them at once."""
        debt_bytes = min(-flow.deficit_bytes for flow in self._old)
        if debt_bytes > 0:
            share_bytes = debt_bytes // QUANTUM_BYTES * QUANTUM_BYTES
            for flow in self._old:
                flow.deficit_bytes += share_bytes

    def _rank(self, flow: Flow) -> None:
        """Move `flow` to the rank of its weight; a flow without items has no rank."""
        had_items = flow.rank > 0
        if had_items:
            peers = self._ranks[flow.rank]
            del peers[flow]
            if not peers:
                self._present &= ~(1 << flow.rank)
        flow.rank = flow.weight_bytes.bit_length()
        if flow.rank:
            self._ranks.setdefault(flow.rank, {})[flow] = None
            self._present |= 1 << flow.rank
        self._busy += (flow.rank > 0) - had_items

    def _forget(self) -> None:
        """Remove all flows: when no item is left, their deficits mean nothing."""
        self._flows.clear()
        self._new.clear()
        self._old.clear()
