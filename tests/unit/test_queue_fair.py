"""A queue that is backed up: shares, sparse flows first, CoDel, marks, and the fattest flow."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.frames import CE, ECT_0, MACS, NOT_ECT, checksum, ethernet, ipv4, ipv6
from tests.support.queues import push
from vpnws.switch.drop import Drop
from vpnws.switch.queue.codel import DEFAULT, INTERVAL_S, TARGET_S, UNLIMITED, Codel
from vpnws.switch.queue.delay import DELAY_BOUNDS_S, no_delays
from vpnws.switch.queue.flow import (
    FLOW_BYTES,
    ITEM_BYTES,
    MAX_FLOWS,
    QUANTUM_BYTES,
    Flows,
    bucket_of,
)
from vpnws.switch.queue.queue import EgressQueue
from vpnws.wire.headers import flow_key

PLENTY = 1 << 30
LIMIT_BYTES = 2_000_000
MTU_BYTES = 1514


def apart(count: int) -> list[int]:
    """Return ports whose flows are in buckets of their own, whatever the secret of the hash."""
    ports: dict[int, int] = {}
    for port in range(1, 60_000):
        ports.setdefault(bucket_of(flow_key(item(port), 0)), port)
        if len(ports) == count:
            return list(ports.values())
    raise AssertionError(f"there are no {count} buckets")


def item(port: int, size: int = 64, number: int = 0, service: int = NOT_ECT) -> bytes:
    payload = number.to_bytes(8, "big") + bytes(max(0, size - 46))
    return ipv4(ports=(port, 1), payload=payload, service=service)


def port_of(one: bytes) -> int:
    return int.from_bytes(one[34:36], "big")


def number_of(one: bytes) -> int:
    return int.from_bytes(one[38:46], "big")


def backed_up(limit_bytes: int = LIMIT_BYTES, *, codel: bool = False) -> EgressQueue:
    queue = EgressQueue(limit_bytes)
    if not codel:
        queue = EgressQueue(limit_bytes, control=UNLIMITED)
    queue.keep([b"rest"])
    queue.backed_up = True
    return queue


class TestShares:
    def test_small_items_and_super_frames_share_bytes(self) -> None:
        queue = backed_up(4_000_000)
        small, large = apart(2)
        for number in range(12_000):
            push(queue, item(small, 64, number), 1, 0.0)
            if number % 1000 == 0:
                push(queue, item(large, 65_536, number), 1, 0.0)
        sent: Counter[int] = Counter()
        while sent[small] < 700_000:
            (one,) = queue.take(1, 1, 0.0)
            sent[port_of(one)] += len(one)
            assert abs(sent[small] - sent[large]) <= len(item(large, 65_536)) + 2 * QUANTUM_BYTES

    @given(st.lists(st.sampled_from((64, 590, 1514, 9000)), min_size=2, max_size=6))
    @settings(max_examples=20)
    def test_bulk_flows_get_equal_bytes(self, sizes: list[int]) -> None:
        queue = backed_up(1 << 24)
        flows = dict(zip(apart(len(sizes)), sizes, strict=True))
        for port, size in flows.items():
            for number in range(200_000 // size):
                push(queue, item(port, size, number), 1, 0.0)
        sent: Counter[int] = Counter()
        while max(sent.values(), default=0) < 150_000:
            (one,) = queue.take(1, 1, 0.0)
            sent[port_of(one)] += len(one)
        assert max(sent.values()) - min(sent.values()) <= 2 * (QUANTUM_BYTES + max(sizes))

    def test_a_flow_keeps_its_order(self) -> None:
        queue = backed_up()
        ports = apart(3)
        for number in range(300):
            push(queue, item(ports[number % 3], 64 + number, number), 1, 0.0)
        taken = queue.take(PLENTY, PLENTY, 0.0)
        for port in ports:
            numbers = [number_of(one) for one in taken if port_of(one) == port]
            assert numbers == sorted(numbers)
            assert len(numbers) == 100


class TestDelays:
    """Counts of how long frames waited, by bucket."""

    def test_a_frame_is_counted_by_its_wait(self) -> None:
        queue = backed_up()
        for at_s in (0.0, 0.5, 0.97, 0.9999):
            push(queue, item(1), 1, at_s)
        assert len(queue.take(PLENTY, PLENTY, 1.0)) == 4
        waits = dict(zip((*DELAY_BOUNDS_S, inf), queue.counts.delays, strict=True))
        assert {bound: count for bound, count in waits.items() if count} == {
            0.001: 1,
            0.05: 1,
            0.5: 1,
            1.0: 1,
        }
        assert queue.counts.waited_s == pytest.approx(0.0001 + 0.03 + 0.5 + 1.0)

    def test_one_that_waited_longer_than_all_bounds_is_counted(self) -> None:
        queue = backed_up()
        push(queue, item(1), 1, 0.0)
        queue.take(PLENTY, PLENTY, 100.0)
        assert queue.counts.delays == [*([0] * len(DELAY_BOUNDS_S)), 1]

    def test_what_codel_drops_has_not_left(self) -> None:
        queue = backed_up(codel=True)
        for number in range(200):
            push(queue, item(1, MTU_BYTES, number), 1, 0.0)
        for number in range(50):
            queue.take(1, 1, number * 0.02)
        assert queue.drops[Drop.CODEL]
        left = queue.counts.offered_frames - queue.counts.discarded_frames - queue._flows.count
        assert sum(queue.counts.delays) == left

    def test_a_queue_that_keeps_up_counts_none(self) -> None:
        queue = EgressQueue(LIMIT_BYTES)
        push(queue, item(1), 1, 0.0)
        queue.take(PLENTY, PLENTY, 3.0)
        assert queue.counts.delays == no_delays()

    def test_counts_that_were_handed_over_stay_as_they_were(self) -> None:
        queue, other = backed_up(), EgressQueue(LIMIT_BYTES)
        push(queue, item(1), 1, 0.0)
        other.resume(state := queue.state())
        for each in (queue, other):
            each.take(PLENTY, PLENTY, 0.5)
        assert state.counts.delays == no_delays()
        assert sum(queue.counts.delays) == sum(other.counts.delays) == 1


class TestSparseFlows:
    def test_one_overtakes_bulk_that_had_its_turn(self) -> None:
        queue = backed_up()
        bulk, sparse = apart(2)
        for number in range(100):
            push(queue, item(bulk, MTU_BYTES, number), 1, 0.0)
        queue.take(1, 2, 0.0)
        push(queue, item(sparse), 1, 0.0)
        (one,) = queue.take(1, 1, 0.0)
        assert port_of(one) == sparse

    @pytest.mark.parametrize(
        "need", [ethernet(0x0806, bytes(28)), ipv6(protocol=58, addresses=(0xFE80 << 112, 2))]
    )
    def test_what_a_host_cannot_do_without_is_sparse(self, need: bytes) -> None:
        queue = backed_up()
        buckets = {bucket_of(flow_key(need, 0))}
        bulk = next(p for p in apart(3) if bucket_of(flow_key(item(p), 0)) not in buckets)
        for number in range(100):
            push(queue, item(bulk, MTU_BYTES, number), 1, 0.0)
        queue.take(1, 2, 0.0)
        push(queue, need, 1, 0.0)
        assert queue.take(1, 1, 0.0) == [need]

    def test_one_that_comes_again_at_once_does_not_starve_the_others(self) -> None:
        queue = backed_up()
        bulk, greedy = apart(2)
        for number in range(100):
            push(queue, item(bulk, MTU_BYTES, number), 1, 0.0)
        sent: Counter[int] = Counter()
        for _ in range(60):
            push(queue, item(greedy, MTU_BYTES), 1, 0.0)
            (one,) = queue.take(1, 1, 0.0)
            sent[port_of(one)] += 1
        assert sent[bulk] >= 28

    def test_one_that_comes_whenever_it_is_empty_gets_its_share_and_no_more(self) -> None:
        queue = backed_up()
        *bulk, greedy = apart(5)
        for number in range(400):
            push(queue, item(bulk[number % 4], MTU_BYTES, number), 1, 0.0)
        sent: Counter[int] = Counter()
        waiting = False
        for turn in range(200):
            if not waiting and turn % 2:
                push(queue, item(greedy, 1000), 1, 0.0)
                waiting = True
            (one,) = queue.take(1, 1, 0.0)
            sent[port_of(one)] += 1
            waiting = waiting and port_of(one) != greedy
        assert 20 <= sent[greedy] <= 60

    def test_a_debt_outlasts_an_empty_moment(self) -> None:
        queue = backed_up()
        bulk, large = apart(2)
        for number in range(100):
            push(queue, item(bulk, MTU_BYTES, number), 1, 0.0)
        sent: Counter[int] = Counter()
        for _ in range(80):
            if not sent[large]:
                push(queue, item(large, 65_000), 1, 0.0)
            (one,) = queue.take(1, 1, 0.0)
            sent[port_of(one)] += 1
            if port_of(one) == large:
                push(queue, item(large, 65_000), 1, 0.0)
        assert 1 <= sent[large] <= 3


class Standing:
    """A flow that always has eight items waiting: one comes in whenever one goes out."""

    DEPTH = 8

    def __init__(self, queue: EgressQueue, service: int = NOT_ECT) -> None:
        self.queue = queue
        self.service = service
        self.now = 0.0
        self.number = 0
        self.out: list[bytes] = []

    def stand(self, wait_s: float, rounds: int) -> None:
        """Let each item wait for about `wait_s`."""
        for _ in range(rounds):
            one = item(7, MTU_BYTES, self.number, self.service)
            push(self.queue, one, 1, self.now)
            self.number += 1
            self.now += wait_s / self.DEPTH
            if self.number > self.DEPTH:
                self.out += self.queue.take(1, 1, self.now)


class TestCodel:
    def test_nothing_is_dropped_below_the_target(self) -> None:
        queue = backed_up(codel=True)
        flow = Standing(queue)
        flow.stand(0.8 * TARGET_S, 3000)
        assert not queue.drops

    def test_nothing_is_dropped_before_an_interval_is_over(self) -> None:
        queue = backed_up(codel=True)
        flow = Standing(queue)
        wait_s = 4 * TARGET_S
        rounds = int(0.9 * INTERVAL_S / (wait_s / 8)) + 8
        flow.stand(wait_s, rounds)
        assert not queue.drops
        flow.stand(wait_s, rounds)
        assert queue.drops[Drop.CODEL] > 0
        assert queue.counts.discarded_frames == queue.drops.total()

    def test_a_moment_below_the_target_begins_the_interval_anew(self) -> None:
        queue = backed_up(codel=True)
        flow = Standing(queue)
        for _ in range(20):
            rounds = int(0.5 * INTERVAL_S / (4 * TARGET_S / 8))
            flow.stand(4 * TARGET_S, rounds)
            flow.stand(0.5 * TARGET_S, 30)
        assert not queue.drops

    def test_it_drops_more_and_more_often(self) -> None:
        queue = backed_up(codel=True)
        flow = Standing(queue, ECT_0)
        flow.stand(4 * TARGET_S, 1000)
        marks = [n for n, one in enumerate(flow.out) if one[15] & 3 == CE]
        gaps = [later - earlier for earlier, later in pairwise(marks)]
        assert len(gaps) > 8
        assert gaps[0] > 2 * gaps[8]

    @pytest.mark.parametrize(("calm_intervals", "treated_as_new"), [(1, False), (20, True)])
    def test_a_queue_that_stands_again_soon_is_not_treated_as_new(
        self, calm_intervals: int, treated_as_new: bool
    ) -> None:
        codel = Codel()
        tick_s = INTERVAL_S / 200

        def drops(start_s: float, ticks: int) -> list[float]:
            times = [start_s + tick * tick_s for tick in range(ticks)]
            return [now for now in times if codel.judge(2 * TARGET_S, False, now, DEFAULT)]

        first = drops(0.0, 2000)
        assert len(first) > 5
        assert first[0] == pytest.approx(INTERVAL_S, abs=2 * tick_s)
        assert not codel.judge(0.5 * TARGET_S, False, 2000 * tick_s, DEFAULT)
        again = drops(2000 * tick_s + calm_intervals * INTERVAL_S, 1000)
        gap_s = again[1] - again[0]
        is_new = gap_s == pytest.approx(INTERVAL_S, abs=2 * tick_s)
        assert is_new == treated_as_new
        assert is_new or gap_s < INTERVAL_S / 2

    def test_what_takes_marks_is_marked_and_never_dropped(self) -> None:
        queue = backed_up(codel=True)
        flow = Standing(queue, ECT_0)
        flow.stand(4 * TARGET_S, 1000)
        assert not queue.drops
        marked = [one for one in flow.out if one[15] & 3 == CE]
        assert len(marked) == queue.counts.marked > 8
        assert all(checksum(one[14:34]) == 0 for one in flow.out)
        assert [number_of(one) for one in flow.out] == list(range(len(flow.out)))

    def test_marking_leaves_the_copy_of_another_port_as_it_is(self) -> None:
        shared = [item(7, MTU_BYTES, number, ECT_0) for number in range(50)]
        before = [bytes(bytearray(one)) for one in shared]
        queue = backed_up(codel=True)
        for one in shared:
            push(queue, one, 1, 0.0)
        for tick in range(45):
            queue.take(1, 1, 0.1 * tick)
        assert queue.counts.marked > 0
        assert shared == before

    def test_the_last_items_are_never_dropped(self) -> None:
        for count, size in ((1, 65_000), (2, 65_000), (2, MTU_BYTES), (20, 64)):
            queue = backed_up(codel=True)
            for number in range(count):
                push(queue, item(7, size, number), 1, 0.0)
            taken = [queue.take(1, 1, 10.0 + tick) for tick in range(count)]
            assert all(taken)
            assert not queue.drops

    def test_two_super_frames_are_no_standing_queue(self) -> None:
        queue = backed_up(codel=True)
        for number in range(100):
            push(queue, item(7, 65_000, number), 1, 0.1 * number)
            if number:
                assert len(queue.take(1, 1, 0.1 * number + 0.05)) == 1
        assert not queue.drops

    def test_of_many_that_waited_for_ages_one_is_always_left(self) -> None:
        queue = backed_up(codel=True)
        for number in range(100):
            push(queue, item(7, MTU_BYTES, number), 1, 0.0)
        taken = 0
        now = 50.0
        while queue.size_bytes > len(b"rest"):
            batch = queue.take(1, 1, now)
            assert len(batch) == 1
            taken += 1
            now += 60.0
        assert queue.drops[Drop.CODEL] > 0
        assert taken + queue.drops.total() == 100

    def test_a_flow_does_not_suffer_for_another(self) -> None:
        queue = backed_up(codel=True)
        bulk, sparse = apart(2)
        now, sent = 0.0, 0
        out: list[bytes] = []
        for number in range(4000):
            push(queue, item(bulk, MTU_BYTES, number), 1, now)
            if number % 10 == 0:
                push(queue, item(sparse, 64, number), 1, now)
                sent += 1
            now += 0.001
            if number > 40:
                out += queue.take(1, 1, now)
        assert queue.drops[Drop.CODEL] > 0
        out += queue.take(PLENTY, PLENTY, now)
        assert sum(port_of(one) == sparse for one in out) == sent


class TestOverflow:
    def test_the_fattest_flow_pays_with_its_oldest(self) -> None:
        queue = backed_up(20_000)
        bulk, sparse = apart(2)
        for number in range(100):
            push(queue, item(bulk, 1000, number), 1, 0.0)
        assert push(queue, item(sparse), 1, 0.0)
        taken = queue.take(PLENTY, PLENTY, 0.0)
        numbers = [number_of(one) for one in taken if port_of(one) == bulk]
        assert numbers == list(range(100 - len(numbers), 100))
        assert sum(port_of(one) == sparse for one in taken) == 1
        dropped = 100 - len(numbers)
        assert queue.drops == {Drop.EGRESS_FULL: dropped}
        assert queue.counts.discarded_frames == dropped
        assert queue.counts.discarded_bytes == dropped * len(item(bulk, 1000))

    def test_many_small_items_are_bounded_in_number(self) -> None:
        tiny = MACS + b"\x88\xcc"
        queue = backed_up(FLOW_BYTES + 100 * (ITEM_BYTES + len(tiny)) + len(b"rest"))
        for _ in range(300):
            push(queue, tiny, 1, 0.0)
        assert len(queue.take(PLENTY, PLENTY, 0.0)) == 100

    @given(
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(14, 70_000), st.booleans()), max_size=120
        )
    )
    def test_the_fattest_holds_more_than_half_of_what_any_other_does(
        self, steps: list[tuple[int, int, bool]]
    ) -> None:
        flows = Flows()
        waiting: dict[int, list[int]] = {}
        for key, size, comes in steps:
            bucket = bucket_of(bytes((key & 255, key >> 8)))
            if comes or not flows.count:
                flows.push(bytes((key & 255, key >> 8)), bytes(size), 0.0)
                waiting.setdefault(bucket, []).append(ITEM_BYTES + size)
            else:
                flow = flows.fattest()
                sums = {one: sum(sizes) for one, sizes in waiting.items()}
                assert 2 * sums[flow.bucket] > max(sums.values())
                assert ITEM_BYTES + len(flows.pop(flow)[0]) == waiting[flow.bucket].pop(0)
            assert flows.count == sum(map(len, waiting.values()))
            busy = sum(map(bool, waiting.values()))
            assert flows.overhead_bytes == ITEM_BYTES * flows.count + FLOW_BYTES * busy

    def test_there_are_never_more_flows_than_buckets(self) -> None:
        queue = backed_up(1 << 24)
        for port in range(4 * MAX_FLOWS):
            push(queue, item(port), 1, 0.0)
        assert len(queue._flows._flows) <= MAX_FLOWS
        assert len(queue.take(PLENTY, PLENTY, 0.0)) == 4 * MAX_FLOWS
        assert not queue._flows._flows


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=80), st.booleans()), max_size=60))
def test_frames_that_are_none_pass_like_others(frames: list[tuple[bytes, bool]]) -> None:
    queue = backed_up(codel=True)
    now = 0.0
    taken = []
    for one, take in frames:
        now += 0.05
        push(queue, one, 1, now)
        if take:
            taken += queue.take(100, 2, now)
    taken += queue.take(PLENTY, PLENTY, now)
    assert len(taken) == len(frames) - queue.counts.discarded_frames
