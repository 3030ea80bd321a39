"""An egress queue that moves to another process: what it gives out is what it would have been."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.support.frames import ipv4
from tests.support.queues import push
from vpnws.switch.queue import flow as flow_module
from vpnws.switch.queue.codel import INTERVAL_S, TARGET_S
from vpnws.switch.queue.queue import EgressQueue

LIMIT_BYTES = 1_000_000
PLENTY = 1 << 30
MTU_BYTES = 1514


def item(port: int, number: int, size: int = MTU_BYTES) -> bytes:
    return ipv4(ports=(port, 1), payload=number.to_bytes(8, "big") + bytes(size - 46))


def moved(queue: EgressQueue) -> EgressQueue:
    """Return a queue that goes on where `queue` stands, except for controls and the rest."""
    other = EgressQueue(LIMIT_BYTES)
    other.resume(queue.state())
    return other


def drained(queue: EgressQueue, now: float) -> list[bytes]:
    """Take one item after another, each a little later."""
    out: list[bytes] = []
    while items := queue.take(1, 1, now):
        out += items
        now += 0.3 * TARGET_S
    return out


def filled(flows: int, each: int) -> EgressQueue:
    """Return a queue that is backed up and has given out some items of every flow."""
    queue = EgressQueue(LIMIT_BYTES)
    queue.backed_up = True
    now = 0.0
    for number in range(each):
        for port in range(flows):
            push(queue, item(port, number, 600 + 300 * port), 1, now)
            now += 0.1 * TARGET_S
    for turn in range(flows * 3):
        queue.take(1, 1, now + 0.1 * INTERVAL_S * turn)
    return queue


def test_a_queue_in_order_stays_in_order() -> None:
    queue = EgressQueue(LIMIT_BYTES)
    items = [item(number % 5, number) for number in range(20)]
    for one in items:
        push(queue, one, 1, 0.0)
    other = moved(queue)
    assert not other.backed_up
    assert other.size_bytes == queue.size_bytes
    assert other.take(PLENTY, PLENTY, 0.0) == items


@pytest.mark.parametrize("flows", [1, 2, 7])
def test_a_queue_by_flow_gives_out_and_drops_the_same(flows: int) -> None:
    queue = filled(flows, 20)
    now = 4 * INTERVAL_S
    other = moved(queue)
    assert other.state() == queue.state()
    assert drained(other, now) == drained(queue, now)
    assert other.drops == queue.drops
    assert queue.drops, "CoDel dropped nothing: the test shows less than it says"
    assert (other.counts.discarded_frames, other.counts.discarded_bytes) == (
        queue.counts.discarded_frames,
        queue.counts.discarded_bytes,
    )


def test_what_comes_after_the_move_is_treated_the_same() -> None:
    queue = filled(4, 10)
    other = moved(queue)
    for number in range(10, 30):
        for port in (0, 2, 9):
            for one in (queue, other):
                push(one, item(port, number), 1, 3 * INTERVAL_S)
    assert drained(other, 4 * INTERVAL_S) == drained(queue, 4 * INTERVAL_S)


def test_a_moved_queue_does_not_share_its_state() -> None:
    queue = filled(3, 10)
    before = queue.state()
    other = moved(queue)
    drained(other, 10.0)
    assert queue.state() == before


@pytest.mark.parametrize("buckets", [1, 3, 256])
def test_with_other_buckets_every_flow_keeps_its_items_in_order(
    buckets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = filled(7, 10)
    expected = by_port(drained(moved(queue), 0.0))
    monkeypatch.setattr(
        flow_module, "bucket_of", lambda key: hash(b"another secret" + key) % buckets
    )
    other = moved(queue)
    assert other.size_bytes == queue.size_bytes
    assert by_port(drained(other, 0.0)) == expected
    assert other.size_bytes == 0


def by_port(items: list[bytes]) -> dict[bytes, list[bytes]]:
    flows: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for one in items:
        flows[one[34:36]].append(one)
    return flows
