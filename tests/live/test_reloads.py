"""A reload never ends the server: nothing in its master takes a lock after the locks are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bench import reloads
from tests.live.server import TwoWorkers, reach
from tests.support import processes
from tests.support.prerequisites import require
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

HELD_S = 3.5
"""Longer than the period of uWSGI's cache sweeper."""


def threads_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


@contextmanager
def held_before_exec(master: int) -> Iterator[None]:
    """Keep `master` for HELD_S between the removal of its locks and the start of its new image."""
    delay = f"inject=execve:delay_enter={HELD_S * 1e6:.0f}:when=1"
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=execve", "-e", delay]
    holder = processes.start([*words, "-p", str(master)], stdout=subprocess.DEVNULL)
    try:
        traced = lambda: int(processes.status_field(master, "TracerPid")) > 0  # noqa: E731
        wait_for(traced, 5, "strace to hold the master")
        yield
    finally:
        processes.kill_session(holder)


@pytest.mark.timeout(120)
def test_a_slow_reload() -> None:
    """As on a machine so busy that a thread of the master would wake in the middle of it."""
    require("strace")
    with TwoWorkers({}) as server:
        old = server.worker_pids()
        with held_before_exec(server.master_pid):
            os.kill(server.master_pid, signal.SIGHUP)
            wait_for(lambda: server.worker_pids() != old, 20, "the reload")
        server.settle()
        with server.station(1) as a, server.station(2) as b:
            reach(a, b)


def test_the_master_has_no_thread_that_could_do_so() -> None:
    with TwoWorkers({}) as server, server.station(1) as a, server.station(2) as b:
        reach(a, b)
        assert threads_of(server.master_pid) == 1


def test_an_option_that_starts_one_is_warned_of() -> None:
    with TwoWorkers({}, "--enable-metrics") as server:
        server.wait_for_log("WARNING uWSGI's master has threads (1)")


@pytest.mark.timeout(120)
def test_reloads_under_load(tmp_path: Path) -> None:
    file = tmp_path / "reloads.json"
    assert reloads.main(["--reloads", "10", "--servers", "5", "--json", str(file)]) == 0
    *servers, total = json.loads(file.read_text())["rows"]
    assert [row["reloads"] for row in servers] == [2] * 5
    assert (total["reloads"], total["dead"], total["last_words"]) == (10, 0, [])
    # Both stations of each server are back after each reload, and send.
    assert all(row["joins"] >= 4 for row in servers)
    assert total["frames"] > 0
