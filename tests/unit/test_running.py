"""Who listens at a socket is named, with the commands that reload and stop it."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from vpnws.server import running
from vpnws.server.running import describe, who_listens

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return what /proc seems to contain."""
    files: dict[str, str] = {}
    monkeypatch.setattr(running, "_read", lambda path: files.get(str(path), ""))
    return files


def test_the_process_is_named(live: Path) -> None:
    said = who_listens(live)
    assert said is not None
    assert f"process {os.getpid()} (" in said
    assert f"kill {os.getpid()} stops it" in said


def test_nobody_listens_at_what_a_dead_server_has_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    assert who_listens(tmp_path / "dead.sock") is None


def test_one_that_has_no_time_to_accept(live: Path) -> None:
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        if client.connect_ex(str(live)):
            break
    assert who_listens(live) == "another server listens there already; stop that one"
    for client in waiting:
        client.close()


@pytest.mark.parametrize("is_there", [False, True])
def test_one_that_this_user_may_not_connect_to(
    live: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """root may connect to all."""
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.EACCES)
    said = who_listens(live if is_there else live.with_name("other.sock"))
    assert said == ("another server listens there already; stop that one" if is_there else None)


def test_a_uwsgi_can_be_reloaded(proc: dict[str, str]) -> None:
    proc["/proc/7/comm"] = "uwsgi\n"
    assert describe(7) == (
        "process 7 (uwsgi) listens there already; kill -HUP 7 reloads it, kill 7 stops it"
    )


def test_another_program_is_not_sent_a_sighup(proc: dict[str, str]) -> None:
    proc["/proc/7/comm"] = "haproxy\n"
    assert describe(7) == "process 7 (haproxy) listens there already; kill 7 stops it"


def test_a_unit_is_systemds_to_stop(proc: dict[str, str]) -> None:
    proc["/proc/7/comm"] = "uwsgi\n"
    proc["/proc/7/cgroup"] = "0::/system.slice/vpnws.service\n"
    said = describe(7)
    assert said.startswith("vpnws.service (process 7) listens there already; systemctl reload ")
    assert said.endswith("systemctl stop vpnws.service stops it")


def test_a_users_session_is_no_unit(proc: dict[str, str]) -> None:
    proc["/proc/7/comm"] = "uwsgi\n"
    proc["/proc/7/cgroup"] = "0::/user.slice/user-0.slice/session-1.scope\n"
    assert "kill -HUP 7" in describe(7)


def test_one_that_is_not_seen_from_here() -> None:
    assert "in another container" in describe(0)


def test_one_whose_master_has_died(proc: dict[str, str]) -> None:
    assert describe(7).startswith("process 7 has died, and what it has started listens there still")
