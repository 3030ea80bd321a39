"""The stage benchmark runs, measures every stage at every size, and says it in both ways."""

from __future__ import annotations

import gc
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from bench import offload, stages
from bench.measure import Spread, Work, calls_for, cpu_ns, without_collector
from bench.processes import cpu_time, pin_apart
from bench.report import table
from tests.support.frames import frame, mac
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from pathlib import Path


class TestStages:
    def test_every_stage_is_measured_at_every_size(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "stages.json"
        stages.main(["--json", str(file), "--sample-ms", "1", "--repeats", "3"])
        written = json.loads(file.read_text())
        measured = [(row["stage"], row["size_bytes"]) for row in written["rows"]]
        assert measured == [(stage, size) for stage in stages.STAGES for size in stages.SIZES]
        assert all(0 < row["low"] <= row["median"] <= row["high"] for row in written["rows"])
        assert written["machine"]["cpus"] == len(os.sched_getaffinity(0))
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == 1 + len(measured)

    @pytest.mark.parametrize("stage", stages.STAGES)
    def test_a_stage_can_be_run_again_and_again(self, stage: str) -> None:
        frames = [frame(mac(1), mac(0), 64) for _ in range(5)]
        work = stages.STAGES[stage](frames)
        for _ in range(3):
            work.run()
            work.reset()

    def test_a_bed_that_was_emptied_has_nothing_queued(self) -> None:
        bed = stages.Bed(2)
        bed.switch.receive(bed.sender, [frame(BROADCAST, mac(0))], 1000.0)
        assert [port.egress.waiting for port in bed.ports] == [False, True, True]
        bed.empty()
        assert not any(port.egress.waiting for port in bed.ports)


class TestOffload:
    def test_every_piece_of_work_is_measured(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "offload.json"
        offload.main(["--json", str(file), "--sample-ms", "1", "--repeats", "3"])
        rows = json.loads(file.read_text())["rows"]
        assert [row["work"] for row in rows] == list(offload.WORKS)
        assert all(0 < row["low"] <= row["median"] <= row["high"] for row in rows)
        packets = {row["work"]: row["packets"] for row in rows}
        assert packets["cut: TCP over IPv4"] == packets["cut: TCP over IPv6"] == 45
        assert packets["check: acknowledgement"] == 1
        assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)


class TestMeasure:
    def test_quartiles_stand_around_the_median(self) -> None:
        assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4)
        assert Spread.of([7]) == Spread(7, 7, 7)

    def test_reset_follows_every_run_and_is_not_timed(self) -> None:
        done: list[str] = []

        def spend() -> None:
            until = time.thread_time_ns() + 20_000_000
            while time.thread_time_ns() < until:
                pass
            done.append("reset")

        assert cpu_ns(Work(lambda: done.append("run"), spend), 2) < 20_000_000
        assert done == ["run", "reset", "run", "reset"]

    def test_calls_fill_the_sample(self) -> None:
        runs = 0

        def run() -> None:
            nonlocal runs
            runs += 1

        calls = calls_for(Work(run), 1_000_000)
        assert runs > 1
        assert 1 < calls < 1_000_000

    def test_the_collector_is_off_for_a_while_only(self) -> None:
        assert gc.isenabled()
        with without_collector():
            assert not gc.isenabled()
        assert gc.isenabled()


class TestProcesses:
    def test_cpu_time_is_what_a_process_used(self) -> None:
        before, clock = cpu_time(os.getpid()), time.process_time()
        while time.process_time() < clock + 0.1:
            pass
        used = cpu_time(os.getpid()) - before
        assert used.total_ns > 50_000_000
        assert used.user_ticks + used.system_ticks > 0

    def test_pinned_processes_and_this_one_share_no_processor(self) -> None:
        before = os.sched_getaffinity(0)
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        try:
            pin_apart([child])
            apart = os.sched_getaffinity(0).isdisjoint(os.sched_getaffinity(child))
            assert apart == (len(before) > 1)
        finally:
            os.sched_setaffinity(0, before)
            os.kill(child, 9)
            os.waitpid(child, 0)


def test_a_table_aligns_numbers_right_and_words_left() -> None:
    rows = [{"name": "a", "n": "1,000"}, {"name": "long", "n": "2.5"}]
    assert table(rows).splitlines() == ["name      n", "a     1,000", "long    2.5"]
