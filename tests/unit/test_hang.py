"""Which process hangs: by what is seen of all of them, second after second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from vpnws.server.hang import BUSY_FACTOR, LOOK_EVERY_S, HangJudge, Sight

HANG_AFTER_S: Final = 5


@dataclass
class Seen:
    """What is seen of a process, and what it will do in the next second."""

    sight: Sight
    beats: bool = True
    computes: bool = False

    def live(self) -> None:
        """Let a second pass."""
        self.sight = replace(
            self.sight,
            beats=self.sight.beats + self.beats,
            cpu_ticks=self.sight.cpu_ticks + self.computes,
        )

    def hang(self, state: str = "S") -> None:
        """Do nothing from now on."""
        self.beats = False
        self.sight = replace(self.sight, state=state)


class Bed:
    """Processes, and a judge that looks at them every second."""

    def __init__(self, processes: int = 3) -> None:
        self.now = 100.0
        self.judge = HangJudge(HANG_AFTER_S, self.now)
        self.seen = {slot: Seen(Sight(1000 + slot, 0, "S", 0)) for slot in range(processes)}
        self.look()

    def look(self, times: int = 1, every_s: float = LOOK_EVERY_S) -> list[tuple[int, int]]:
        """Return the (second, slot) of each process that was found to hang."""
        found = []
        for second in range(1, times + 1):
            self.now += every_s
            for seen in self.seen.values():
                seen.live()
            sights = {slot: seen.sight for slot, seen in self.seen.items()}
            slot = self.judge.find(sights, self.now)
            if slot is not None:
                found.append((second, slot))
        return found


def test_processes_that_beat_live_for_ever() -> None:
    assert Bed().look(1000) == []


def test_one_that_stops_beating_is_found_after_the_time() -> None:
    bed = Bed()
    bed.seen[1].hang()
    assert bed.look(HANG_AFTER_S) == [(HANG_AFTER_S, 1)]


def test_another_process_at_its_place_is_judged_anew() -> None:
    bed = Bed()
    bed.seen[1].hang()
    bed.look(HANG_AFTER_S - 1)
    bed.seen[1].sight = replace(bed.seen[1].sight, pid=2000)
    assert bed.look(HANG_AFTER_S) == []


def test_one_that_is_gone_is_not_judged() -> None:
    bed = Bed()
    bed.seen[1].hang()
    bed.look(HANG_AFTER_S - 1)
    del bed.seen[1]
    assert bed.look(100) == []


def test_one_that_computes_is_left_longer_but_not_for_ever() -> None:
    bed = Bed()
    bed.seen[1].beats, bed.seen[1].computes = False, True
    limit = BUSY_FACTOR * HANG_AFTER_S
    assert bed.look(limit) == [(limit, 1)]


def test_one_that_waits_for_a_processor_is_left_longer_too() -> None:
    bed = Bed()
    bed.seen[1].hang(state="R")
    assert bed.look(BUSY_FACTOR * HANG_AFTER_S - 1) == []


def test_the_one_that_cannot_run_is_the_cause_though_its_last_beat_was_later() -> None:
    for state in ("T", "D"):
        bed = Bed()
        bed.seen[0].hang()
        bed.look(2)
        bed.seen[2].hang(state)
        assert bed.look(HANG_AFTER_S) == [(HANG_AFTER_S - 2, 2)]


def test_a_stop_that_is_much_younger_is_not_the_cause() -> None:
    bed = Bed()
    bed.seen[0].hang()
    bed.look(HANG_AFTER_S - 1)
    bed.seen[2].hang("T")
    assert bed.look() == [(1, 0)]


def test_after_one_the_others_have_their_time_again() -> None:
    bed = Bed()
    bed.seen[0].hang()
    bed.seen[1].hang()
    assert bed.look(2 * HANG_AFTER_S - 1) == [(HANG_AFTER_S, 0)]
    bed.seen[0].beats = True
    bed.look(2)
    bed.seen[1].beats = True
    assert bed.look(100) == []


def test_a_late_look_finds_nobody_and_counts_anew() -> None:
    """The machine stood still, as a virtual one that is suspended."""
    bed = Bed()
    for seen in bed.seen.values():
        seen.hang()
    assert bed.look(1, every_s=3600.0) == []
    assert bed.look(HANG_AFTER_S - 1) == []
    assert bed.look() == [(1, 0)]


def test_while_a_debugger_holds_one_nobody_is_found() -> None:
    bed = Bed()
    bed.seen[0].hang("t")
    bed.seen[1].hang()
    assert bed.look(1000) == []
    bed.seen[0].hang("T")
    assert bed.look(HANG_AFTER_S) == [(HANG_AFTER_S, 0)]
