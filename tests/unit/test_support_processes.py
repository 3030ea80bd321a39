"""The harness starts, bounds and ends processes."""

import os
import signal
import subprocess
import time

import pytest

from tests.support import processes
from tests.support.waiting import wait_for

STUBBORN = ["sh", "-c", "trap '' TERM; sleep 600 & echo ready; while :; do sleep 1; done"]


def test_run_returns_both_outputs_and_takes_input() -> None:
    done = processes.run(["sh", "-c", "cat; echo oops >&2"], input_text="in")
    assert (done.stdout, done.stderr, done.returncode) == ("in", "oops\n", 0)


def test_a_string_is_split_but_meets_no_shell() -> None:
    assert processes.run("printf '%s|' 'a b' $HOME").stdout == "a b|$HOME|"


def test_a_failure_says_command_status_and_output() -> None:
    with pytest.raises(processes.CommandError, match=r"(?s)sh -c .*exit status 3\nout\nerr"):
        processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert processes.run(["false"], check=False).returncode == 1


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(processes.CommandError, match=r"not done within 0\.2 s\n(\d+)") as caught:
        processes.run(["sh", "-c", "sleep 600 & echo $!; wait"], timeout_s=0.2)
    child = int(str(caught.value).splitlines()[1])
    assert not processes.is_alive(child)


def test_a_child_that_outlives_its_command_is_ended() -> None:
    done = processes.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
    assert not processes.is_alive(int(done.stdout))


def test_stop_kills_a_session_that_ignores_sigterm() -> None:
    process = processes.start(STUBBORN)
    assert process.stdout
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        assert len(processes.session_pids(process.pid)) >= 2
        assert processes.stop(process, grace_s=0.1) == -signal.SIGKILL
    assert processes.session_pids(process.pid) == []


def test_stop_returns_the_status_of_a_process_that_has_ended() -> None:
    process = processes.start(["sh", "-c", "exit 7"], stdout=subprocess.DEVNULL)
    process.wait(5)
    assert processes.stop(process) == 7


def test_a_zombie_is_not_alive() -> None:
    process = processes.start(["true"], stdout=subprocess.DEVNULL)
    wait_for(lambda: not processes.is_alive(process.pid), 5, "true to end")
    assert process.wait(5) == 0


def test_this_process_is_alive_and_in_its_session() -> None:
    assert processes.is_alive(os.getpid())
    assert os.getpid() in processes.session_pids(os.getsid(0))


def test_wait_for_returns_the_first_true_result() -> None:
    answers = iter([0, "", 42])
    assert wait_for(lambda: next(answers), 5, "an answer", interval_s=0) == 42


def test_wait_for_says_what_it_waited_for() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s in vain: the moon"):
        wait_for(lambda: False, 0.05, "the moon")
    assert time.monotonic() - started >= 0.05


def test_wait_for_asks_once_even_without_time() -> None:
    assert wait_for(lambda: True, 0, "now")
