"""A second start by mistake is refused and leaves the first one alone; a dead one is replaced."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.raw_client import RawClient
from tests.support.uwsgi import BINARY, INI, Uwsgi, free_port
from tests.support.uwsgi_client import UwsgiClient
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.live

REFUSED = 10
"""The exit status of a start that uwsgi.ini ends."""


class Site:
    """A site's ini with a pidfile, and the server of it."""

    def __init__(self, directory: Path, socket: str = "") -> None:
        """`socket` is where to listen, by default at a path in `directory`."""
        self.ini = directory / "site.ini"
        self.pidfile = directory / "pid"
        self.socket = directory / "site.sock"
        address = f"127.0.0.1:{free_port()}"
        lines = [
            f"set-placeholder = vpnws-socket={socket or self.socket}",
            f"set-placeholder = vpnws-http={address}",
            f"pidfile = {self.pidfile}",
            f"ini = {INI}",
            "workers = 2",
        ]
        self.ini.write_text("\n".join(["[uwsgi]", *lines, ""]))
        self.http = address

    def server(self) -> Uwsgi:
        """Return a server of it, to be entered."""
        return SiteServer(self)

    def start_again(self) -> tuple[int, str]:
        """Start one more; return its exit status and what it said."""
        done = processes.run([BINARY, "--ini", self.ini], check=False)
        return done.returncode, done.stdout + done.stderr

    def left(self) -> tuple[str, int]:
        """Return what must stay: the pidfile's text and the socket's inode, 0 without a file."""
        inode = self.socket.stat().st_ino if self.socket.exists() else 0
        return self.pidfile.read_text().strip(), inode


class SiteServer(Uwsgi):
    """uWSGI with nothing on its command line but the site's ini."""

    def __init__(self, site: Site) -> None:
        super().__init__(ini=site.ini, http=site.http, socket_path=site.socket, workers=2)

    def command(self) -> Sequence[str]:  # type: ignore[override]
        """Return the command line."""
        return [str(BINARY), "--ini", str(self._ini)]


def serves(server: Uwsgi) -> bool:
    """Tell whether the server answers on its HTTP address."""
    with RawClient(*server.http_address) as client:
        return client.request().status == 426


def test_it_names_the_server_that_runs_and_leaves_it_alone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.server() as server:
        pid = server.master_pid
        before = site.left()
        for _ in range(2):
            status, said = site.start_again()
            assert status == REFUSED, said
            assert (
                f"vpnws: cannot start: vpnws-socket = {site.socket} cannot be made: process {pid}"
                f" (uwsgi) listens there already; kill -HUP {pid} reloads it, kill {pid} stops it;"
                " for a second server name another socket"
            ) in said
            assert "VACUUM" not in said
            assert site.left() == before == (str(pid), before[1])
            with UwsgiClient(site.socket) as client:
                assert client.ask({}).status == 101
            assert serves(server)
            # The same after a reload.
            old = server.worker_pids()
            os.kill(pid, signal.SIGHUP)
            wait_for(lambda: server.worker_pids() != old, 20, "the reload")  # noqa: B023
            server.settle()


@pytest.mark.parametrize("kind", ["TCP", "a name without a file"])
def test_other_kinds_of_sockets(tmp_path: Path, kind: str) -> None:
    socket = f"127.0.0.1:{free_port()}" if kind == "TCP" else f"@vpnws-test-{os.getpid()}"
    site = Site(tmp_path, socket)
    with site.server() as server:
        before = site.left()
        status, said = site.start_again()
        assert (status, f"vpnws: cannot start: vpnws-socket = {socket} cannot be" in said) == (
            REFUSED,
            True,
        ), said
        assert site.left() == before
        assert serves(server)


def test_what_a_killed_server_has_left_is_replaced_in_silence(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.server() as server:
        processes.kill_session(server.process)
        assert site.socket.is_socket()
        server.start()
        assert serves(server)
        with UwsgiClient(site.socket) as client:
            assert client.ask({}).status == 101
        assert "cannot" not in server.log_text()
        assert site.left()[0] == str(server.master_pid)
