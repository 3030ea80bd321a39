"""What a process counts about itself, and what all processes know of who has left."""

from __future__ import annotations

from math import inf

import pytest

from tests.fakes.house import House
from vpnws.control.views import RECENT_S, RETURN_S
from vpnws.server.peers.departures import Departures
from vpnws.server.peers.shared_page import MAX_DEPARTURES, SharedPage
from vpnws.server.tally import LoopLag, Tally
from vpnws.server.web.identity import Identity

ALICE = Identity("alice", "", "192.0.2.1")
ROAMING_ALICE = Identity("alice", "", "198.51.100.7")
NOBODY = Identity("", "", "192.0.2.9")


def tallies(count: int) -> list[Tally]:
    page = SharedPage(count)
    return [Tally(page, slot, 1.0, 0.0) for slot in range(count)]


class TestReturns:
    def test_whoever_comes_back_soon_has_returned_to_any_process(self) -> None:
        one, two = tallies(2)
        one.join(ALICE, 0.0)
        one.leave(ALICE, 100.0)
        two.join(ROAMING_ALICE, 100.0 + RETURN_S / 2)
        assert (one.joins, one.returns, one.leaves) == (1, 0, 1)
        assert (two.joins, two.returns, two.leaves) == (1, 1, 0)

    def test_whoever_comes_late_has_not(self) -> None:
        one, two = tallies(2)
        one.leave(ALICE, 0.0)
        two.join(ALICE, RETURN_S)
        assert two.returns == 0

    def test_without_a_name_the_address_says_who_it_is(self) -> None:
        (one,) = tallies(1)
        one.leave(NOBODY, 0.0)
        one.join(Identity("", "", "192.0.2.10"), 1.0)
        assert one.returns == 0
        one.join(NOBODY, 1.0)
        assert one.returns == 1

    def test_the_last_departure_counts(self) -> None:
        page = SharedPage(3)
        slots = [Departures(page, slot) for slot in range(3)]
        for slot, at_s in ((0, 5.0), (1, 9.0), (2, 7.0)):
            slots[slot].note(b"name", at_s)
        assert {each.left_s(b"name") for each in slots} == {9.0}
        assert slots[0].left_s(b"another") == -inf

    def test_past_the_bound_the_oldest_is_forgotten(self) -> None:
        page = SharedPage(2)
        one, two = Departures(page, 0), Departures(page, 1)
        two.note(b"neighbour", 1.0)
        for number in range(MAX_DEPARTURES + 1):
            one.note(b"%d" % number, 2.0)
        assert one.left_s(b"0") == -inf
        assert one.left_s(b"1") == two.left_s(b"%d" % MAX_DEPARTURES) == 2.0
        assert one.left_s(b"neighbour") == 1.0

    def test_another_servers_digests_differ(self) -> None:
        pages = [SharedPage(1), SharedPage(1)]
        for page in pages:
            Departures(page, 0).note(b"name", 1.0)
        assert pages[0].departures.tobytes() != pages[1].departures.tobytes()


class TestLoopLag:
    def test_the_longest_lag_of_the_last_seconds_counts(self) -> None:
        lag = LoopLag(1.0, 0.0)
        assert lag.tick(1.25) == pytest.approx(0.25)
        assert lag.tick(2.25) == 0.0
        assert lag.worst_s(2.25) == pytest.approx(0.25)
        for second in range(3, 13):
            lag.tick(second + 0.25)
        assert lag.worst_s(12.25) == 0.0

    def test_a_tick_that_is_due_counts_before_it_comes(self) -> None:
        lag = LoopLag(1.0, 0.0)
        assert lag.worst_s(4.0) == pytest.approx(3.0)

    def test_a_timer_that_is_early_is_not_late(self) -> None:
        assert LoopLag(1.0, 0.0).tick(0.9) == 0.0


class TestPage:
    def test_starts_and_kills_are_counted_for_each_slot(self) -> None:
        page = SharedPage(3)
        page.join(1, 7)
        page.note_kill(1)
        page.join(1, 8)
        page.join(1, 0)
        assert [page.lives(slot) for slot in range(3)] == [(0, 0), (2, 1), (0, 0)]

    def test_they_are_apart_from_the_other_numbers(self) -> None:
        page = SharedPage(2)
        page.join(1, 7)
        page.beat(1)
        Departures(page, 0).note(b"name", 1.0)
        page.note_kill(0)
        assert page.pulses() == [(0, 0), (7, 1)]
        assert (page.lives(0), page.lives(1)) == ((0, 1), (1, 0))


class TestHouse:
    """A whole server."""

    def test_it_counts_who_comes_goes_and_is_refused(self) -> None:
        with House() as house:
            one, two = (house.processes[worker].node.tally for worker in (1, 2))
            station = house.connect(1, REMOTE_USER="alice")
            station.hang_up()
            house.loop.settle()
            house.connect(2, REMOTE_USER="alice")
            assert house.connect(2, network="not a name").request.status.startswith("500")
            assert (one.joins, one.leaves, one.returns) == (1, 1, 0)
            assert (two.joins, two.leaves, two.returns) == (1, 0, 1)
            assert two.refusals == {"500": 1}

    def test_a_killed_worker_is_counted_as_begun_twice(self) -> None:
        with House() as house:
            house.kill(2)
            house.start(2)
            assert [house.server.page.lives(slot)[0] for slot in (0, 1)] == [1, 2]

    def test_a_loop_that_stood_still_was_late(self) -> None:
        with House(workers=1) as house:
            lag = house.processes[1].node.tally.lag
            house.loop.advance(RECENT_S)
            assert lag.worst_s(house.loop.now()) == 0.0
            house.loop.sleep(3.5)
            assert 2.5 <= lag.worst_s(house.loop.now()) <= 3.5
            house.loop.advance(RECENT_S + 1.0)
            assert lag.worst_s(house.loop.now()) == 0.0
