"""The benchmark of a worker runs against real servers and measures every cell."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from bench import worker

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
