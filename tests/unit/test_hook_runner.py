"""The runner of the admin's commands: its clock, its environment, its errors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.waiting import wait_for
from vpnws.errors import HookError
from vpnws.server.uplink.hooks import HOOK_S, run_hook

REPOSITORY = Path(__file__).resolve().parents[2]


def run(name: str, commands: str, timeout_s: float = HOOK_S) -> None:
    """Run commands as for one TAP."""
    run_hook(
        name,
        commands,
        network="blue",
        device="vpn0",
        mac="02:00:00:00:00:01",
        timeout_s=timeout_s,
    )


def test_it_passes_the_tap_in_the_environment(capfd: pytest.CaptureFixture[str]) -> None:
    run("vpnws-exec", "echo $VPNWS_NETWORK $VPNWS_TAP $VPNWS_MAC; echo oh >&2")
    assert capfd.readouterr().err == "blue vpn0 02:00:00:00:00:01\noh\n"


def test_commands_that_take_too_long_are_killed_with_their_children(tmp_path: Path) -> None:
    commands = f"echo begun; sleep 600 & echo $! > {tmp_path}/pid; wait"
    began_s = time.monotonic()
    with pytest.raises(HookError) as error:
        run("vpnws-exec", commands, timeout_s=1.0)
    assert time.monotonic() - began_s < 60
    assert str(error.value).endswith("for vpn0 was not done within 1 s; it said: begun")
    child = int((tmp_path / "pid").read_text())
    wait_for(lambda: not processes.is_alive(child), 5, "the child to be gone")


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    run("vpnws-exec", f"sleep 600 & echo $! > {tmp_path}/pid", timeout_s=20.0)
    child = int((tmp_path / "pid").read_text())
    assert processes.is_alive(child)
    processes.kill([child])


def test_of_a_long_output_the_end_is_shown() -> None:
    with pytest.raises(HookError) as error:
        run("vpnws-exec-down", "seq 1000; false")
    assert str(error.value).endswith(" 999 1000")
    assert len(str(error.value)) < 700


def test_the_master_waits_longer_than_the_commands_may_take() -> None:
    ini = (REPOSITORY / "uwsgi.ini").read_text()
    (mercy,) = [line for line in ini.splitlines() if line.startswith("mule-reload-mercy")]
    assert int(mercy.partition("=")[2]) > HOOK_S
    unit = (REPOSITORY / "deploy" / "vpnws.service").read_text()
    (stop,) = [line for line in unit.splitlines() if line.startswith("TimeoutStopSec")]
    assert int(stop.partition("=")[2]) > int(mercy.partition("=")[2])
