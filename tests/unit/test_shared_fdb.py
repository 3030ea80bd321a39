"""The table that all processes share, in a uWSGI cache, and the page of epochs beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi
from tests.support.frames import mac
from vpnws.server.peers.kept_claims import KEY_BYTES
from vpnws.server.peers.shared_fdb import (
    BUMP_EVERY_S,
    NAME_PART,
    SWEEP_EVERY_S,
    SWEEP_PER_S,
    SharedFdb,
)
from vpnws.server.peers.shared_page import SharedPage
from vpnws.switch.guard.claims import ANONYMOUS, OWN, RESERVED_S
from vpnws.switch.location import NOWHERE, Location

AGE_S = 60
ITEMS = 64
NAMED = b"somebody"
HERE = Location(0, 7, ANONYMOUS)
THERE = Location(1, 8, NAMED)


class Bed:
    """Two processes that share a table."""

    def __init__(self, items: int = ITEMS) -> None:
        self.loop = ManualLoop()
        self.uwsgi = FakeUwsgi(FakeMaster(self.loop, cache_items=items), self.loop)
        self.page = SharedPage(2)
        self.items = items
        self.tables = [self.table(0), self.table(1)]

    def table(self, slot: int) -> SharedFdb:
        return SharedFdb(self.loop, self.uwsgi, self.page, slot, items=self.items)


@pytest.fixture
def bed() -> Bed:
    return Bed()


@pytest.fixture
def fdb(bed: Bed) -> SharedFdb:
    return bed.tables[0]


class TestEntries:
    def test_one_process_reads_what_another_wrote(self, bed: Bed) -> None:
        assert bed.tables[0].put("blue", mac(1), HERE)
        assert bed.tables[1].get("blue", mac(1)) == HERE
        assert bed.tables[1].put("blue", mac(1), THERE)
        assert bed.tables[0].get("blue", mac(1)) == THERE

    def test_a_network_has_its_own(self, fdb: SharedFdb) -> None:
        fdb.put("blue", mac(1), HERE)
        assert fdb.get("red", mac(1)) is None

    def test_the_longest_name_fits(self, fdb: SharedFdb) -> None:
        assert fdb.put("n" * 32, mac(1), Location(63, (1 << 64) - 1, NAMED))
        assert fdb.get("n" * 32, mac(1)) == Location(63, (1 << 64) - 1, NAMED)

    def test_a_deleted_one_is_gone(self, fdb: SharedFdb) -> None:
        fdb.put("blue", mac(1), HERE)
        fdb.delete("blue", mac(1))
        assert fdb.get("blue", mac(1)) is None

    def test_one_lasts_until_its_time_is_over(self, bed: Bed, fdb: SharedFdb) -> None:
        here = replace(HERE, until_s=bed.loop.now() + AGE_S)
        fdb.put("blue", mac(1), here)
        bed.loop.advance(AGE_S - 1.0)
        assert fdb.get("blue", mac(1)) == here
        bed.loop.advance(1.0)
        assert fdb.get("blue", mac(1)) is None

    def test_a_challenge_is_told_to_everybody(self, bed: Bed) -> None:
        challenged = HERE.challenged(1, 99, bed.loop.now())
        bed.tables[1].put("blue", mac(1), challenged)
        assert bed.tables[0].get("blue", mac(1)) == challenged

    def test_one_whose_time_is_over_is_removed(self, bed: Bed, fdb: SharedFdb) -> None:
        fdb.put("blue", mac(1), replace(HERE, until_s=bed.loop.now() + AGE_S))
        fdb.put("blue", mac(2), HERE)
        bed.loop.advance(AGE_S)
        bed.tables[1].sweep()
        assert len(bed.uwsgi.cache_keys()) == 1
        assert fdb.get("blue", mac(2)) == HERE

    def test_a_sweep_looks_at_a_part_of_a_large_table(self) -> None:
        bed = Bed(items=4 * SWEEP_PER_S)
        fdb = bed.tables[0]
        for number in range(3 * SWEEP_PER_S):
            assert fdb.put("blue", mac(number), replace(HERE, until_s=bed.loop.now() + 1.0))
        bed.loop.advance(AGE_S)
        left = []
        for _ in range(4):
            fdb.sweep()
            left.append(len(bed.uwsgi.cache_keys()))
        assert left == [2 * SWEEP_PER_S, SWEEP_PER_S, 0, 0]

    def test_a_small_table_is_not_looked_at_every_second(self, bed: Bed, fdb: SharedFdb) -> None:
        fdb.sweep()
        fdb.put("blue", mac(1), replace(HERE, until_s=bed.loop.now() + 1.0))
        left = []
        for _ in range(int(SWEEP_EVERY_S) + 1):
            left.append(len(bed.uwsgi.cache_keys()))
            bed.loop.advance(1.0)
            fdb.sweep()
        assert left == [1] * int(SWEEP_EVERY_S) + [0]

    def test_a_reserved_one_is_nowhere_and_somebodys_for_a_while(
        self, bed: Bed, fdb: SharedFdb
    ) -> None:
        fdb.put("blue", mac(1), THERE)
        fdb.reserve("blue", mac(1), NAMED)
        there = fdb.get("blue", mac(1))
        assert there == Location(NOWHERE, 0, NAMED, bed.loop.now() + RESERVED_S)
        bed.loop.advance(RESERVED_S)
        assert fdb.get("blue", mac(1)) is None

    def test_the_servers_own_are_reserved_for_good(self, bed: Bed, fdb: SharedFdb) -> None:
        fdb.reserve("blue", mac(1), OWN)
        bed.loop.advance(1e6)
        assert fdb.get("blue", mac(1)) == Location(NOWHERE, 0, OWN)


class TestKeys:
    def test_nobody_outside_can_foresee_them(self, bed: Bed) -> None:
        keys = set()
        for _ in range(2):
            other = Bed()
            other.tables[0].put("blue", mac(1), HERE)
            (key,) = other.uwsgi.cache_keys()
            assert len(key) == KEY_BYTES
            assert mac(1) not in key
            keys.add(key)
        assert len(keys) == 2

    def test_a_mac_and_a_network_are_not_mistaken_for_others(self, fdb: SharedFdb) -> None:
        fdb.put("blue", mac(1), HERE)
        fdb.put("blue", mac(2), THERE)
        fdb.put("blues", mac(1), THERE)
        assert fdb.get("blue", mac(1)) == HERE
        assert fdb.get("red", mac(1)) is None


class TestWhenItIsFull:
    def fill(self, bed: Bed, fdb: SharedFdb) -> int:
        """Write until a write is refused; return how many were taken."""
        for number in range(bed.items + 1):
            if not fdb.put("blue", mac(number), HERE):
                return number
        raise AssertionError("it is never full")

    def test_new_ones_are_refused_before_uwsgi_would_complain(
        self, bed: Bed, fdb: SharedFdb
    ) -> None:
        assert self.fill(bed, fdb) < bed.items - 1
        assert fdb.put("blue", mac(0), THERE), "one that is there can be written still"

    def test_there_is_room_again_once_entries_are_counted(self, bed: Bed, fdb: SharedFdb) -> None:
        self.fill(bed, fdb)
        for number in range(10):
            fdb.delete("blue", mac(number))
        assert not fdb.put("blue", mac(1000), HERE)
        bed.loop.advance(1.0)
        assert fdb.put("blue", mac(1000), HERE)

    def test_what_others_wrote_counts_too(self, bed: Bed) -> None:
        taken = self.fill(bed, bed.tables[1])
        assert taken > 0
        assert not bed.tables[0].put("blue", mac(1000), HERE)

    def test_a_write_that_uwsgi_refuses_makes_it_full(self, bed: Bed, fdb: SharedFdb) -> None:
        assert fdb.put("blue", mac(0), HERE)
        for number in range(bed.items):
            bed.uwsgi.cache_put(b"%d" % number, b"")
        assert not fdb.put("blue", mac(1), HERE)

    def test_only_half_of_it_is_kept_for_the_absent(self, bed: Bed, fdb: SharedFdb) -> None:
        for number in range(bed.items // 2):
            fdb.put("blue", mac(number), THERE)
        fdb.reserve("blue", mac(0), NAMED)
        assert fdb.get("blue", mac(0)) is None

    def test_one_name_cannot_use_up_what_is_reserved_for_all(self) -> None:
        bed = Bed(items=1000)
        for fdb in bed.tables:
            for number in range(1000):
                fdb.put("blue", mac(number), THERE)
                fdb.reserve("blue", mac(number), b"a crowd!")
        assert len(bed.uwsgi.cache_keys()) in range(50, 1000 // NAME_PART)
        bed.loop.advance(2.0)  # The keys are counted again.
        fdb.reserve("blue", mac(5000), NAMED)
        assert fdb.get("blue", mac(5000)) is not None
        bed.loop.advance(RESERVED_S)
        fdb.reserve("blue", mac(5001), b"a crowd!")
        assert fdb.get("blue", mac(5001)) is not None, "its part is for a while"


class TestEpoch:
    def test_moves_for_everybody(self, bed: Bed) -> None:
        before = bed.tables[1].epoch()
        bed.tables[0].bump()
        assert bed.tables[1].epoch() != before

    def test_moves_at_most_once_in_a_while_and_never_late(self, bed: Bed, fdb: SharedFdb) -> None:
        fdb.bump()
        seen = {fdb.epoch()}
        for _ in range(20):
            fdb.bump()
            seen.add(fdb.epoch())
        assert len(seen) == 1
        bed.loop.advance(BUMP_EVERY_S)
        seen.add(fdb.epoch())
        assert len(seen) == 2
        bed.loop.advance(10 * BUMP_EVERY_S)
        assert fdb.epoch() in seen
        bed.loop.check_no_leak()


class TestPurge:
    def test_removes_what_the_slots_last_process_left(self, bed: Bed) -> None:
        bed.tables[1].put("blue", mac(1), Location(1, 5, ANONYMOUS))
        bed.tables[1].put("red", mac(2), Location(1, 6, NAMED))
        bed.tables[0].put("blue", mac(3), HERE)
        before = bed.page.epochs()
        assert bed.table(1).purge_own() == 2
        assert bed.tables[0].get("blue", mac(1)) is None
        until_s = bed.loop.now() + RESERVED_S
        assert bed.tables[0].get("red", mac(2)) == Location(NOWHERE, 0, NAMED, until_s)
        assert bed.tables[0].get("blue", mac(3)) == HERE
        assert bed.page.epochs() != before

    def test_with_nothing_left_counts_nothing(self, bed: Bed) -> None:
        assert bed.tables[0].purge_own() == 0


class TestPage:
    def test_an_epoch_moves_its_own_slot_alone(self) -> None:
        page = SharedPage(3)
        seen = {page.epochs()}
        for slot in range(3):
            page.bump_epoch(slot)
            seen.add(page.epochs())
        assert len(seen) == 4

    def test_ports_are_summed_over_all_processes(self) -> None:
        page = SharedPage(3)
        assert page.ports() == 0
        page.set_ports(0, 3)
        page.set_ports(2, 4)
        page.set_ports(0, 1)
        assert page.ports() == 5

    def test_ports_and_epochs_do_not_touch_each_other(self) -> None:
        page = SharedPage(3)
        epochs = page.epochs()
        page.set_ports(0, 1)
        assert page.epochs() == epochs
        page.bump_epoch(2)
        assert page.ports() == 1
