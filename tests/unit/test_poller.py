"""The poller: one contract for epoll and for kqueue, and a pump that runs on either."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.kqueue import FakeKevent, FakeKqueue
from tests.support.pump_bed import Bed, frame
from vpnws import poller
from vpnws.client.carry import pump
from vpnws.poller import FAILED, READ, WRITE, KqueuePoller, Poller, make_poller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pair = tuple[socket.socket, socket.socket]


def by_kqueue() -> Poller:
    return KqueuePoller(FakeKqueue(), FakeKevent)


@pytest.fixture(params=[make_poller, by_kqueue], ids=["epoll", "kqueue"])
def make(request: pytest.FixtureRequest) -> Callable[[], Poller]:
    made: Callable[[], Poller] = request.param
    return made


@pytest.fixture
def polled(make: Callable[[], Poller]) -> Iterator[Poller]:
    with make() as made:
        yield made


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_nothing_is_ready_before_something_comes(polled: Poller, pair: Pair) -> None:
    near, far = pair
    polled.register(near.fileno(), READ)
    assert polled.poll(0) == []
    far.send(b"x")
    assert polled.poll(5) == [(near.fileno(), READ)]
    # It is level-triggered.
    assert polled.poll(0, 4) == [(near.fileno(), READ)]
    near.recv(1)
    assert polled.poll(0, 4) == []


def test_both_directions_come_together(polled: Poller, pair: Pair) -> None:
    near, far = pair
    polled.register(near.fileno(), READ | WRITE)
    assert polled.poll(0) == [(near.fileno(), WRITE)]
    far.send(b"x")
    assert polled.poll(0, 1) == [(near.fileno(), READ | WRITE)]


def test_what_is_waited_for_can_change(polled: Poller, pair: Pair) -> None:
    near, far = pair
    far.send(b"x")
    polled.register(near.fileno(), 0)
    assert polled.poll(0) == []
    polled.modify(near.fileno(), READ)
    assert polled.poll(0) == [(near.fileno(), READ)]
    polled.modify(near.fileno(), 0)
    assert polled.poll(0) == []
    polled.modify(near.fileno(), WRITE)
    assert polled.poll(0) == [(near.fileno(), WRITE)]
    polled.unregister(near.fileno())
    assert polled.poll(0) == []


def test_the_other_ends_end_is_told(polled: Poller, pair: Pair) -> None:
    near, far = pair
    polled.register(near.fileno(), READ)
    far.close()
    ((fd, events),) = polled.poll(5)
    assert fd == near.fileno()
    assert events & READ
    assert events & FAILED


def test_no_more_than_asked_for(polled: Poller, pair: Pair) -> None:
    for end in pair:
        polled.register(end.fileno(), WRITE)
    assert len(polled.poll(0, 1)) == 1
    assert {fd for fd, _ in polled.poll(0, 2)} == {end.fileno() for end in pair}


def test_what_is_in_the_set_is_not_added_again(polled: Poller, pair: Pair) -> None:
    fd = pair[0].fileno()
    polled.register(fd, READ)
    with pytest.raises(FileExistsError):
        polled.register(fd, READ)
    polled.unregister(fd)
    with pytest.raises(FileNotFoundError):
        polled.modify(fd, READ)
    with pytest.raises(FileNotFoundError):
        polled.unregister(fd)


def test_a_kqueue_is_closed_with_its_block() -> None:
    kqueue = FakeKqueue()
    with KqueuePoller(kqueue, FakeKevent):
        assert not kqueue.is_closed
    assert kqueue.is_closed


def test_on_linux_it_is_epoll_itself() -> None:
    with make_poller() as made:
        assert isinstance(made, select.epoll)


def test_without_epoll_it_is_a_kqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    monkeypatch.setattr(select, "kqueue", FakeKqueue, raising=False)
    monkeypatch.setattr(select, "kevent", FakeKevent, raising=False)
    assert isinstance(make_poller(), KqueuePoller)


def test_a_pump_runs_on_a_kqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "make_poller", by_kqueue)
    bed = Bed()
    try:
        bed.start()
        bed.far.send(frame(1))
        assert bed.received() == frame(1)
        bed.tap.host_send(frame(2))
        assert bytes(bed.far.frames(1)[0].data) == frame(2)
        bed.stop.request()
        bed.ended()
    finally:
        bed.close()
    assert poller.READ == select.EPOLLIN
