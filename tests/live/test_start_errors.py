"""A start that cannot go well says so in one sentence; a check says it while the server runs on."""

from __future__ import annotations

import grp
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.service import ServiceError
from tests.support.unprivileged import as_seen_by_users
from tests.support.uwsgi import INI, REPOSITORY, Uwsgi
from tests.support.waiting import wait_for
from vpnws.server.ini import CHECKED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

NOBODY, NOGROUP = "nobody", "nogroup"


def start_error(*arguments: str, **options: object) -> str:
    """Return what a start logs that fails."""
    with pytest.raises(ServiceError) as caught, Uwsgi(*arguments, **options):  # type: ignore[arg-type]
        pass
    return str(caught.value)


def test_a_socket_in_a_missing_directory(tmp_path: Path) -> None:
    said = start_error(socket_path=tmp_path / "no" / "vpnws.sock")
    assert f"cannot start: vpnws-socket = {tmp_path}/no/vpnws.sock cannot be made" in said
    assert f"there is no directory {tmp_path}/no" in said


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    said = start_error(socket_path=tmp_path / "vpnws.sock", uid=NOBODY)
    assert f"may not write in {tmp_path}; name a socket" in said


def test_the_directory_is_looked_at_as_the_user_that_uwsgi_will_become(tmp_path: Path) -> None:
    """uWSGI starts as root and listens as `uid`: nothing must be made before that can fail."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o755)
    path, stage = tmp_path / "vpnws.sock", tmp_path / "stage"
    stage.mkdir()
    enter = as_seen_by_users(stage)
    said = start_error("--uid", NOBODY, "--gid", NOGROUP, socket_path=path, wrapper=enter)
    assert f"nobody may not write in {tmp_path}; name a socket" in said
    assert "bind()" not in said
    # Where only its group lets that user write, the same start can listen.
    os.chown(tmp_path, -1, grp.getgrnam(NOGROUP).gr_gid)
    tmp_path.chmod(0o775)
    told = {"VPNWS_INI_UID": NOBODY, "VPNWS_INI_GID": NOGROUP, "VPNWS_INI_SOCKET": str(path)}
    words = [*enter, sys.executable, "-m", "vpnws.server.listen"]
    processes.run(words, env={"PYTHONPATH": str(REPOSITORY), **told})


def test_a_user_or_a_group_that_is_not_there() -> None:
    said = start_error("--uid", "vpnwz")
    assert "vpnwz" in said
    assert "spawned" not in said


def test_an_address_of_another_machine() -> None:
    said = start_error(http="192.0.2.1:8080")
    assert "cannot start: vpnws-http = 192.0.2.1:8080 cannot be listened at: this machine" in said


def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert f"vpnws-http = {address} cannot be listened at: another program" in start_error(
            http=address
        )


def check(ini: Path) -> tuple[int, str]:
    """Return status and words of a check."""
    words = [sys.executable, "-m", "vpnws.server.check", str(ini)]
    done = processes.run(words, check=False, env={"PYTHONPATH": str(REPOSITORY)})
    return done.returncode, done.stderr


@pytest.mark.parametrize("first", ["", "[uwsgi\n"])
def test_a_check_of_a_file_of_which_uwsgi_reads_nothing_says_so(tmp_path: Path, first: str) -> None:
    ini = tmp_path / "site.ini"
    ini.write_text(f"{first}ini = {INI}\n")
    status, said = check(ini)
    assert status == 1
    assert f"the file needs a line [uwsgi], below it ini = {INI}, and no lazy-apps" in said


def test_a_check_says_what_is_wrong_while_the_server_runs_on(tmp_path: Path) -> None:
    ini, pidfile = tmp_path / "site.ini", tmp_path / "pid"

    def write(*lines: str) -> None:
        ini.write_text("\n".join(["[uwsgi]", *lines, f"ini = {INI}", f"pidfile = {pidfile}", ""]))

    write()
    with Uwsgi(ini=ini, workers=2) as server:
        own = [
            f"set-placeholder = vpnws-socket={server.socket_path}",
            f"set-placeholder = vpnws-http={server.http}",
        ]
        write(*own)
        before = pidfile.read_text()
        status, said = check(ini)
        assert (status, CHECKED in said) == (0, True), said
        write(*own, "set-placeholder = vpnws-age=soon")
        status, said = check(ini)
        assert (status, "cannot start: vpnws-age = 'soon'" in said) == (1, True), said
        write(*own, "workerz = 2")
        status, said = check(ini)
        assert (status, "unknown config directive: workerz" in said) == (1, True), said
        assert pidfile.read_text() == before
        assert server.socket_path.is_socket()
        assert server.process.poll() is None
        write(*own)
        old = set(server.worker_pids())
        os.kill(server.master_pid, signal.SIGHUP)
        wait_for(lambda: old.isdisjoint(server.worker_pids()), 20, "a reload with the same file")
        server.settle()
