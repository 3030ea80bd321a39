"""What is aside is served in every wait: descriptors, alarms, and what they raise."""

import os
import select
import threading
from collections.abc import Iterator
from math import inf

import pytest

from tests.support.real_waiter import real_waiter
from vpnws.client.aside import Aside
from vpnws.client.waiting import Waiter
from vpnws.errors import NetworkChangedError

FAR_S = 60.0
WAIT_S = 5.0


@pytest.fixture
def aside() -> Iterator[Aside]:
    made = Aside()
    yield made
    made.close()


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with real_waiter() as made:
        yield made


def readable() -> int:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    return reader


def change() -> None:
    raise NetworkChangedError("another network")


class TestAside:
    def test_alarms_ring_in_their_order_and_once(self, aside: Aside) -> None:
        rung: list[tuple[str, float]] = []
        aside.alarm(2.0, lambda now: rung.append(("second", now)))
        aside.alarm(1.0, lambda now: rung.append(("first", now)))
        aside.serve(0.5)
        assert rung == []
        assert aside.next_at_s() == 1.0
        aside.serve(3.0)
        aside.serve(4.0)
        assert rung == [("first", 3.0), ("second", 3.0)]
        assert aside.next_at_s() == inf

    def test_a_cancelled_alarm_is_as_if_it_had_not_been(self, aside: Aside) -> None:
        aside.alarm(1.0, lambda now: pytest.fail(f"rang at {now}")).cancel()
        assert aside.next_at_s() == inf
        aside.serve(2.0)

    def test_an_alarm_may_set_the_next(self, aside: Aside) -> None:
        rung: list[float] = []

        def again(now: float) -> None:
            rung.append(now)
            aside.alarm(now + 1.0, again)

        aside.alarm(1.0, again)
        for now in (1.0, 1.5, 2.0, 2.5):
            aside.serve(now)
        assert rung == [1.0, 2.0]

    def test_an_alarm_that_raises_is_over_and_the_others_are_not(self, aside: Aside) -> None:
        rung: list[float] = []
        aside.alarm(1.0, lambda _: change())
        aside.alarm(1.0, rung.append)
        with pytest.raises(NetworkChangedError):
            aside.serve(1.0)
        aside.serve(1.0)
        assert rung == [1.0]

    def test_one_who_is_called_may_end_another(self, aside: Aside) -> None:
        descriptors = [readable(), readable()]
        called: list[int] = []

        def serve(own: int, other: int) -> None:
            called.append(own)
            aside.unwatch(other)

        aside.watch(descriptors[0], lambda: serve(*descriptors))
        aside.watch(descriptors[1], lambda: serve(*reversed(descriptors)))
        aside.serve(0.0)
        assert len(called) == 1
        for fd in descriptors:
            os.close(fd)


class TestWaits:
    def test_a_sleep_serves_a_descriptor_and_goes_on(self, waiter: Waiter) -> None:
        served = threading.Event()
        fd = readable()

        def serve() -> None:
            served.set()
            waiter.aside.unwatch(fd)

        waiter.aside.watch(fd, serve)
        began_s = waiter.now()
        waiter.sleep(0.05)
        assert served.is_set()
        assert waiter.now() - began_s >= 0.05
        os.close(fd)

    def test_what_an_alarm_raises_ends_a_sleep(self, waiter: Waiter) -> None:
        waiter.aside.alarm(waiter.now() + 0.01, lambda _: change())
        with pytest.raises(NetworkChangedError):
            waiter.sleep(FAR_S)

    def test_what_an_alarm_raises_ends_a_wait_for_a_descriptor(self, waiter: Waiter) -> None:
        reader, writer = os.pipe()
        waiter.aside.alarm(waiter.now() + 0.01, lambda _: change())
        with pytest.raises(NetworkChangedError):
            waiter.wait(reader, select.POLLIN, waiter.now() + FAR_S)
        os.close(reader)
        os.close(writer)

    def test_without_anything_a_wait_ends_at_its_time(self, waiter: Waiter) -> None:
        reader, writer = os.pipe()
        with pytest.raises(TimeoutError):
            waiter.wait(reader, select.POLLIN, waiter.now() + 0.01)
        os.close(reader)
        os.close(writer)
