"""The simulation of queues: it says the same twice, and its parts do what they stand for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench import queueing
from bench.queueing import POLICIES, Result, simulate, wait_ms
from bench.simulated import MSS_BYTES, SUPER_BYTES, Case
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from pathlib import Path

CASE = Case(20.0, 2, MSS_BYTES, "fifo", seconds=3.0)
MOST_BYTES = 20e6 / 8 * 3.0 * 0.8


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {policy: simulate(replace(CASE, policy=policy)) for policy in POLICIES}


def test_it_says_the_same_twice(results: dict[str, Result]) -> None:
    assert simulate(replace(CASE, policy=POLICIES[-1])) == results[POLICIES[-1]]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_line_is_full_and_not_more(results: dict[str, Result], policy: str) -> None:
    assert 0.9 * MOST_BYTES < sum(results[policy].bulk_bytes) <= MOST_BYTES


def test_in_one_queue_a_ping_waits_for_bulk_and_by_flow_it_does_not(
    results: dict[str, Result],
) -> None:
    full_ms = CASE.limit_bytes * 8 / CASE.mbit_s / 1e3
    socket_ms = (CASE.socket_bytes + CASE.bite_bytes) * 8 / CASE.mbit_s / 1e3
    assert 0.5 * full_ms < wait_ms(results["fifo"].ping_waits_s, 50) < full_ms + socket_ms
    for policy in POLICIES[1:]:
        assert wait_ms(results[policy].ping_waits_s, 99) < 1.2 * socket_ms


def test_codel_keeps_bulks_own_queue_short(results: dict[str, Result]) -> None:
    plain, codel = (wait_ms(results[policy].bulk_waits_s, 50) for policy in POLICIES[1:3])
    assert codel < plain / 4
    assert results["flows, codel"].drops[Drop.CODEL] > 0


def test_those_who_take_marks_are_marked_and_not_dropped_by_codel(
    results: dict[str, Result],
) -> None:
    assert results["flows, codel, ecn"].marked > 0
    assert Drop.CODEL not in results["flows, codel, ecn"].drops
    assert not any(results[policy].marked for policy in POLICIES[:3])


def test_flows_of_super_frames_get_equal_shares() -> None:
    case = replace(CASE, mbit_s=100.0, flows=4, item_bytes=SUPER_BYTES, policy=POLICIES[2])
    shares = simulate(case).bulk_bytes
    assert min(shares) > 0.9 * max(shares)


def test_every_case_has_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "queueing.json"
    queueing.main(["--json", str(file), "--seconds", "0.5", "--flows", "1"])
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == len(queueing.LINES) * 2 * len(POLICIES)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
