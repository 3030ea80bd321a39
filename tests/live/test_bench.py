"""The benchmarks that start real servers measure every cell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench import observed, worker
from bench.attacks import __main__ as attacks
from tests.support.uwsgi import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live


def test_every_receiver_place_and_window_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "worker.json"
    affinity = os.sched_getaffinity(0)
    worker.main(["--json", str(file), "--sizes", "64", "1500", "--sample-s", "0", "--repeats", "2"])
    rows = json.loads(file.read_text())["rows"]
    measured = {(row["receiver"], len(row["workers"]), row["size_bytes"]) for row in rows}
    assert measured == {(r, w, s) for r in worker.RECEIVERS for w in (1, 2) for s in (64, 1500)}
    for row in rows:
        assert [sample["frames"] for sample in row["samples"]] == [row["window"]] * 2
        assert all(ns > 0 for sample in row["samples"] for ns in sample["ns_by_worker"])
        assert len(row["samples"][0]["ns_by_worker"]) == len(row["workers"])
    assert {row["window"] for row in rows} == {1, worker.WINDOW_BYTES // 1500, worker.MAX_WINDOW}
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
    assert os.sched_getaffinity(0) == affinity


def test_attacks_are_measured_beside_a_round_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "attacks.json"
    affinity = os.sched_getaffinity(0)
    few = ["--idle", "20", "--attack-s", "0.5", "--attackers", "2", "--repeats", "1"]
    attacks.main(["--json", str(file), "--only", "joins", *few])
    rows = json.loads(file.read_text())["rows"]
    assert [(row["attack"], row["attackers"]) for row in rows] == [
        ("none", 0),
        ("joins, 200 a second", 2),
    ]
    for row in rows:
        (sample,) = row["samples"]
        assert sample["sent"] > 0
        assert 0 < sample["p50_ms"] <= sample["p99_ms"]
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
    assert os.sched_getaffinity(0) == affinity


# Beside other tests each of its many servers takes its time to start.
@pytest.mark.timeout(300)
def test_every_watcher_is_compared_with_none(tmp_path: Path) -> None:
    file = tmp_path / "observed.json"
    few = ["--sizes", "64", "--sample-s", "0", "--repeats", "2", "--idle", "3"]
    # It forks, which a process with the threads of other tests must not do.
    command = [sys.executable, "-m", "bench.observed", "--json", str(file), *few]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    rows = json.loads(file.read_text())["rows"]
    measured = [(len(row["workers"]), row["watcher"]) for row in rows]
    assert measured == [(workers, who) for workers in (1, 2) for who in observed.WATCHERS]
    for row in rows:
        assert (row["scrapes"] >= 2, row["bytes_read"] > 0) == (row["watcher"] != "nobody",) * 2
        assert len(row["frames_per_s"]) == 2
        assert row["ratio"]["median"] > 0
    assert len(done.stdout.splitlines()) == 1 + len(rows)
