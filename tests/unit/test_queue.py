"""The egress queue as its port sees it: order, bounds, accounts, and a machine that tries all."""

from __future__ import annotations

import gc
import tracemalloc
from collections import defaultdict, deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.frames import ECT_0, NOT_ECT, ipv4
from tests.support.queues import push
from vpnws.switch.drop import Drop
from vpnws.switch.queue.flow import FLOW_BYTES, ITEM_BYTES
from vpnws.switch.queue.queue import CONTROL_RESERVE_BYTES, EgressQueue
from vpnws.wire.headers import flow_key

if TYPE_CHECKING:
    from collections.abc import Sequence

PLENTY = 1 << 30
ITEMS = st.lists(st.binary(min_size=1, max_size=50), max_size=30)
LENGTH_BYTES = 4


def record(one: bytes) -> bytes:
    return len(one).to_bytes(LENGTH_BYTES, "big") + one


def split(item: bytes) -> list[bytes]:
    parts = []
    while item:
        length = LENGTH_BYTES + int.from_bytes(item[:LENGTH_BYTES], "big")
        parts.append(item[:length])
        item = item[length:]
    return parts


class LengthAndFrame:
    """Items are frames, each behind its length."""

    def frame_at(self, _item: bytes) -> int:
        return LENGTH_BYTES

    def split(self, item: bytes) -> list[bytes]:
        return split(item)


RECORDS = LengthAndFrame()


class TestNotBackedUp:
    @given(ITEMS, st.integers(1, 200), st.integers(1, 9))
    def test_items_come_in_order_within_the_bounds(
        self, items: list[bytes], max_bytes: int, max_items: int
    ) -> None:
        queue = EgressQueue(10_000)
        assert all(push(queue, item, 1, 0.0) for item in items)
        out = []
        while queue.waiting:
            batch = queue.take(max_bytes, max_items, 0.0)
            assert 1 <= len(batch) <= max_items
            assert sum(map(len, batch)) <= max_bytes or len(batch) == 1
            out += batch
            assert queue.size_bytes == sum(map(len, items)) - sum(map(len, out))
        assert out == items
        assert queue.take(max_bytes, max_items, 0.0) == []

    def test_the_newest_is_dropped_and_counted_in_frames(self) -> None:
        queue = EgressQueue(60, RECORDS)
        kept, lost = (b"".join(map(record, frames)) for frames in ([bytes(40)], [bytes(4)] * 7))
        assert push(queue, kept, 1, 0.0)
        assert not push(queue, lost, 7, 0.0)
        assert queue.drops == {Drop.EGRESS_FULL: 7}
        assert (queue.counts.discarded_frames, queue.counts.discarded_bytes) == (7, 28)
        assert queue.take(PLENTY, PLENTY, 0.0) == [kept]

    def test_one_that_is_alone_is_taken_whatever_its_length(self) -> None:
        queue = EgressQueue(10)
        assert push(queue, bytes(11), 1, 0.0)
        assert not push(queue, b"x", 1, 0.0)

    def test_small_items_are_bounded_in_number(self) -> None:
        queue = EgressQueue(10 * (ITEM_BYTES + 1))
        assert [push(queue, b"x", 1, 0.0) for _ in range(12)] == [True] * 10 + [False] * 2


class TestMemory:
    @pytest.mark.parametrize("size", [14, 15, 60, 300])
    @pytest.mark.parametrize("backed_up", [False, True])
    def test_the_bound_counts_what_items_really_take(self, size: int, backed_up: bool) -> None:
        limit_bytes = 1_000_000
        queue = EgressQueue(limit_bytes)
        queue.backed_up = backed_up
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(10_000):
                push(queue, number.to_bytes(6, "big") + bytes(size - 6), 1, float(number))
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert queue.drops[Drop.EGRESS_FULL] > 0
        assert after - before <= 1.1 * limit_bytes

    def test_and_it_is_given_back(self) -> None:
        queue = EgressQueue(1_000_000)
        queue.backed_up = True
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(10_000):
                push(queue, number.to_bytes(6, "big") + bytes(8), 1, float(number))
            while queue.take(1000, 1000, 10_000.0):
                pass
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # CPython keeps some freed tuples for itself.
        assert after - before < 200_000


class TestControls:
    def test_they_stand_apart_and_have_room_of_their_own(self) -> None:
        queue = EgressQueue(10)
        assert push(queue, bytes(10), 1, 0.0)
        pings = 0
        while queue.push_control(b"PING"):
            pings += 1
        assert 4 * pings == CONTROL_RESERVE_BYTES
        assert queue.size_bytes == 10 + CONTROL_RESERVE_BYTES
        assert queue.take_controls() == [b"PING"] * pings
        assert queue.take_controls() == []
        assert queue.size_bytes == 10
        assert queue.push_control(b"PING")

    def test_they_do_not_crowd_frames_out(self) -> None:
        for backed_up in (False, True):
            for length in (50, 100, 150):
                queue = EgressQueue(100)
                assert queue.push_control(bytes(CONTROL_RESERVE_BYTES))
                queue.backed_up = backed_up
                assert push(queue, bytes(length), 1, 0.0)
                queue.backed_up = True
                assert queue.take(PLENTY, PLENTY, 0.0) == [bytes(length)]

    def test_a_rest_does_not_use_up_their_room(self) -> None:
        queue = EgressQueue(10)
        queue.keep([bytes(CONTROL_RESERVE_BYTES)])
        assert queue.push_control(b"PING")


class TestRest:
    def test_it_is_kept_as_it_is_and_counts(self) -> None:
        queue = EgressQueue(100)
        push(queue, b"abcdef", 1, 0.0)
        (item,) = queue.take(PLENTY, PLENTY, 0.0)
        assert not queue.waiting
        rest: list[bytes | memoryview] = [memoryview(item)[2:]]
        queue.keep(rest)
        queue.backed_up = True
        assert queue.begun
        assert (queue.rest, queue.size_bytes) == (rest, 4)
        assert not queue.take(PLENTY, PLENTY, 0.0)
        assert queue.backed_up
        queue.keep([])
        assert not queue.begun
        assert not queue.waiting
        assert not queue.backed_up

    def test_while_it_waits_the_bound_counts_it(self) -> None:
        for backed_up in (False, True):
            queue = EgressQueue(100)
            queue.keep([bytes(90)])
            queue.backed_up = backed_up
            push(queue, bytes(11), 1, 0.0)
            assert queue.drops == {Drop.EGRESS_FULL: 1}
            assert queue.size_bytes == 90
            assert queue.counts.discarded_frames == 1


class TestRuns:
    def test_a_run_is_cut_into_its_frames_while_backed_up_only(self) -> None:
        frames = [record(ipv4(ports=(port, 1))) for port in (1, 2, 1)]
        run = b"".join(frames)
        queue = EgressQueue(10_000, RECORDS)
        push(queue, run, 3, 0.0)
        assert queue.take(PLENTY, PLENTY, 0.0) == [run]
        push(queue, run, 3, 0.0)
        queue.backed_up = True
        push(queue, run, 3, 0.0)
        assert queue.size_bytes == 2 * len(run)
        taken = queue.take(PLENTY, PLENTY, 0.0)
        assert sorted(taken) == sorted(2 * frames)
        assert taken[:2] == [frames[0], frames[0]]
        assert not queue.waiting
        assert not queue.backed_up


class Machine(RuleBasedStateMachine):
    """A link that does anything a link may do, beside a slow account of every frame."""

    LIMIT_BYTES = 3_000 + 10 * ITEM_BYTES + 4 * FLOW_BYTES

    def __init__(self) -> None:
        super().__init__()
        self.queue = EgressQueue(self.LIMIT_BYTES, RECORDS)
        self.now = 0.0
        self.number = 0
        self.flows: defaultdict[bytes, deque[bytes]] = defaultdict(deque)
        """Frames accepted and neither seen to be taken nor to be dropped, by flow."""
        self.order: list[bytes] = []
        """All of them in the order they came, for as long as nothing is backed up."""
        self.pushed = self.refused = self.taken = self.skipped = 0
        self.pushed_bytes = self.taken_bytes = self.refused_bytes = 0
        self.longest = 0
        self.controls: list[bytes] = []
        self.rest: list[bytes | memoryview] = []

    @rule(
        ports=st.lists(st.integers(0, 4), min_size=1, max_size=4),
        size=st.sampled_from((8, 100, 900)),
        ecn=st.booleans(),
    )
    def push(self, ports: list[int], size: int, ecn: bool) -> None:
        records = []
        for port in ports:
            self.number += 1
            data = self.number.to_bytes(8, "big") + bytes(size)
            service = ECT_0 if ecn else NOT_ECT
            records.append(record(ipv4(ports=(port, 1), payload=data, service=service)))
        item = b"".join(records)
        alone = self.frames_bytes() == 0 and not self.rest
        if push(self.queue, item, len(records), self.now):
            self.pushed += len(records)
            self.pushed_bytes += len(item)
            self.longest = max(self.longest, len(item)) if alone else self.longest
            for one in records:
                self.flows[self.key(one)].append(one)
            if not self.queue.backed_up:
                self.order.append(item)
        else:
            assert not alone
            assert not self.queue.backed_up
            self.refused += len(records)
            self.refused_bytes += len(item)

    @rule(max_bytes=st.integers(1, 4000), max_items=st.integers(1, 9))
    def take(self, max_bytes: int, max_items: int) -> None:
        fifo = not self.queue.backed_up
        frames_wait = self.frames_bytes() > 0
        items = self.queue.take(max_bytes, max_items, self.now)
        assert bool(items) == frames_wait
        assert len(items) <= max_items
        assert sum(map(len, items)) <= max_bytes or len(items) == 1
        if fifo:
            assert items == self.order[: len(items)]
            del self.order[: len(items)]
        self.leave(items)

    @precondition(lambda self: self.queue.waiting and not self.queue.begun)
    @rule(size=st.integers(1, 1200), begun=st.booleans())
    def the_socket_is_full(self, size: int, begun: bool) -> None:
        if begun:
            items = self.queue.take(size, 9, self.now)
            self.leave(items)
            self.rest = [memoryview(items[0])[1:], *items[1:]] if items else []
            self.queue.keep(self.rest)
        if self.queue.waiting:
            self.queue.backed_up = True
            self.order.clear()

    @rule(some=st.integers(0, 2))
    def write_rest(self, some: int) -> None:
        self.rest = self.rest[some:]
        self.queue.keep(self.rest)

    @rule(size=st.integers(1, 3000))
    def push_control(self, size: int) -> None:
        fits = sum(map(len, self.controls)) + size <= CONTROL_RESERVE_BYTES
        assert self.queue.push_control(bytes(size)) == fits
        if fits:
            self.controls.append(bytes(size))

    @rule()
    def take_controls(self) -> None:
        assert self.queue.take_controls() == self.controls
        self.controls = []

    @rule()
    def move_to_another_process(self) -> None:
        moved = EgressQueue(self.LIMIT_BYTES, RECORDS)
        moved.keep(self.rest)
        for message in self.controls:
            assert moved.push_control(message)
        moved.resume(self.queue.state())
        assert moved.state() == self.queue.state()
        self.queue = moved

    @rule(seconds=st.sampled_from((0.001, 0.02, 0.2)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_accounts_are_right(self) -> None:
        queue = self.queue
        assert queue.size_bytes == self.frames_bytes() + self.length(self.rest) + self.length(
            self.controls
        )
        assert queue.rest == self.rest
        assert queue.begun == bool(self.rest)
        assert list(queue.controls) == self.controls
        assert queue.drops.total() == queue.counts.discarded_frames
        assert queue.counts.offered_frames == self.pushed + self.refused
        assert self.skipped <= queue.counts.discarded_frames - self.refused
        assert queue.waiting or not queue.backed_up
        bound = max(self.LIMIT_BYTES, self.longest) + CONTROL_RESERVE_BYTES
        assert queue.size_bytes <= bound

    def teardown(self) -> None:
        while items := self.queue.take(PLENTY, PLENTY, self.now):
            self.leave(items)
        discarded = self.queue.counts.discarded_frames - self.refused
        assert self.pushed == self.taken + discarded
        assert self.frames_bytes() == 0
        self.skipped += sum(map(len, self.flows.values()))
        assert self.skipped == discarded

    def leave(self, items: Sequence[bytes]) -> None:
        """Account for items that left: in their flow's order, whatever was dropped between."""
        for one in (one for item in items for one in split(item)):
            waiting = self.flows[self.key(one)]
            while self.unmarked(waiting.popleft()) != self.unmarked(one):
                self.skipped += 1
            self.taken += 1
            self.taken_bytes += len(one)

    def frames_bytes(self) -> int:
        heads_bytes = LENGTH_BYTES * self.queue.counts.discarded_frames
        discarded_bytes = self.queue.counts.discarded_bytes + heads_bytes
        return self.pushed_bytes + self.refused_bytes - self.taken_bytes - discarded_bytes

    @staticmethod
    def length(buffers: Sequence[bytes | memoryview]) -> int:
        return sum(map(len, buffers))

    @staticmethod
    def key(one: bytes) -> bytes:
        return flow_key(one, LENGTH_BYTES)

    @staticmethod
    def unmarked(one: bytes) -> bytes:
        """Leave out what a mark changes: the traffic class and the header's checksum."""
        at = LENGTH_BYTES + 14
        return one[: at + 1] + one[at + 2 : at + 10] + one[at + 12 :]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
