"""vpnws-ctl against real uWSGI: every command over the socket, and over nginx from elsewhere."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import Station, TwoWorkers
from tests.support.captures import comments
from tests.support.frames import mac
from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.nginx import Nginx
from tests.support.prerequisites import require, require_root
from tests.support.processes import run
from tests.support.uwsgi import REPOSITORY
from tests.support.waiting import wait_for
from vpnws.ctl.exits import Exit
from vpnws.ctl.program.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.netns

SETTINGS = {"vpnws-trusted-proxies": "127.0.0.1"}
OPERATOR, PASSWORD = "olga", "lets me in"


@dataclass
class Bed:
    lan: Lan
    nginx: Nginx
    server: TwoWorkers
    stations: list[Station] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{SERVER_ADDRESS}/vpn_admin"

    def ctl(self, *words: str, code: Exit = Exit.DONE) -> str:
        """Run vpnws-ctl over the socket; return what it says."""
        return _said(["--socket", str(self.server.socket_path), *words], code)

    def items(self, *words: str) -> Any:
        """Return the items of a list."""
        return json.loads(self.ctl("--json", *words))["items"]

    def far(self, *words: str, code: Exit = Exit.DONE, password: str = PASSWORD) -> str:
        """Run it on another machine over nginx."""
        file = self.nginx.directory / "password"
        file.write_text(f"{password}\n")
        login = ["--user", OPERATOR, "--password-file", str(file), "--ca", str(self.nginx.ca.crt)]
        return self.lan.stations[0].call(lambda: _said(["--url", self.url, *login, *words], code))

    def join(self, worker: int, user: str, number: int) -> Station:
        """Have a named station join a worker, and say something."""
        client = self.server.connect(worker)
        station = Station(client, mac(number))
        headers = [station.header, ("X-Forwarded-User", user)]
        assert client.upgrade(headers=headers).status == 101
        station.joined().send()
        self.stations.append(station)
        return station


def _said(words: list[str], code: Exit) -> str:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = main(words)
    assert found == code, err.getvalue()
    return out.getvalue() if code == Exit.DONE else err.getvalue()


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    require("nginx", "tcpdump", "tshark", "uwsgi")
    require_root()
    with (
        Lan(1) as lan,
        Nginx(lan.server, users={OPERATOR: PASSWORD}) as nginx,
        TwoWorkers(SETTINGS, socket_path=nginx.socket_path) as server,
    ):
        yield Bed(lan, nginx, server)


def port_of(bed: Bed, user: str) -> str:
    """Return the id of a user's port; wait until there is one."""
    wait_for(lambda: len(bed.items("ports", user)) == 1, 5.0, f"the port of {user}")
    return str(bed.items("ports", user)[0]["id"])


def test_every_command_does_what_it_says(bed: Bed, tmp_path: Path) -> None:
    alice, bob = bed.join(1, "alice", 1), bed.join(2, "bob", 2)
    ports = {user: port_of(bed, user) for user in ("alice", "bob")}
    assert (ports["alice"][:2], ports["bob"][:2]) == ("1.", "2.")

    # What is seen over the socket is seen over nginx too.
    for words in (["ports"], ["fdb"], ["networks"], ["status"]):
        told, far = json.loads(bed.ctl("--json", *words)), json.loads(bed.far("--json", *words))
        assert told.keys() == far.keys()
        assert not told["missing"]
        assert "alice" in bed.far("ports")
    for words in (["who"], ["drops"], ["events"], ["bans"], ["limits"], ["top"]):
        more = ["--count", "1"] if words == ["top"] else []
        told = json.loads(bed.ctl("--json", *words, *more))
        assert isinstance(told["items"], list)
    # What it finds depends on this machine.
    assert main(["--socket", str(bed.server.socket_path), "doctor"]) in (Exit.DONE, Exit.FAILED)
    assert "bob" in bed.ctl("port", "bob")
    assert str(alice.header[1]) in bed.ctl("fdb", "alice")
    trace = json.loads(bed.ctl("--json", "trace", "alice", "bob"))
    assert trace["there"]["outcome"] == "delivered"

    # Changes reach the port at whatever worker it is.
    bed.ctl("block", "bob", "--reason", "noisy")
    assert json.loads(bed.ctl("--json", "trace", "alice", "bob"))["there"]["outcome"] == "dropped"
    bed.far("unblock", ports["bob"])
    bed.ctl("set", "alice", "--stations", "7")
    assert bed.items("ports", "alice")[0]["limits"]["stations"] == 7
    bed.ctl("set", ports["bob"], "--egress-bytes", "100000")
    assert bed.items("ports", "bob")[0]["limits"]["egress_bytes"] == 100000
    assert "1 FDB entry flushed" in bed.ctl("flush", str(bob.header[1]))

    bob.send()
    assert f"pinned {bob.header[1]} in network default to bob" in bed.far("pin", bob.header[1])
    bed.ctl("unpin", "bob")
    assert bed.items("pins") == []
    for user, station in (("alice", alice), ("bob", bob)):
        capture(bed, user, station, tmp_path / f"{user}.pcapng")

    bed.far("kick", "bob", "--reason", "bye")
    bed.ctl("kick", "alice")
    wait_for(lambda: bed.items("ports") == [], 5.0, "both to be gone")
    bed.ctl("ban", "alice", "--for", "1h", "--reason", "loud")
    with bed.server.connect(1) as client:
        headers = [alice.header, ("X-Forwarded-User", "alice")]
        assert client.upgrade(headers=headers).status == 403
    assert [ban["by"] for ban in bed.items("bans")] == ["root"]
    bed.far("unban", "alice")
    kicks = bed.items("events", "--name", "kick")
    assert [event["fields"]["by"] for event in kicks] == [OPERATOR, "root"]


def capture(bed: Bed, user: str, station: Station, file: Path) -> None:
    """Capture a station's frames until Ctrl-C; tcpdump reads them, and no others."""
    program = [sys.executable, "-m", "vpnws.ctl", "--socket", str(bed.server.socket_path)]
    with subprocess.Popen(
        [*program, "capture", "--port", user, "-w", str(file)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def has_a_frame() -> bool:
            station.send()
            return file.exists() and station.mac in file.read_bytes()

        try:
            wait_for(has_a_frame, 10.0, "a captured frame")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, "no copy lost" in said) == (Exit.DONE, True), said
    shown = run(["tcpdump", "-enr", str(file)]).stdout.splitlines()
    assert all(str(station.header[1]) in line for line in shown), shown
    assert set(comments(file.read_bytes())) == {f"in at {port_of(bed, user)}"}


def test_what_stands_in_the_way_has_its_own_exit_code(bed: Bed) -> None:
    assert "user and password" in bed.far("status", code=Exit.REFUSED, password="guess")
    assert "no port is of user nobody" in bed.ctl("kick", "nobody", code=Exit.NOT_FOUND)
    bed.join(1, "carol", 3)
    bed.join(2, "carol", 4)
    wait_for(lambda: len(bed.items("ports", "carol")) == 2, 5.0, "two ports")
    assert "2 ports" in bed.far("kick", "carol", code=Exit.AMBIGUOUS)
    bed.ctl("kick", "carol", "--all")
    worker = bed.server.worker_pids()[1]
    os.kill(worker, signal.SIGSTOP)
    try:
        answered = bed.ctl("ports", code=Exit.DEGRADED)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert "worker 2 did not answer" in answered


def test_a_user_who_may_not_use_the_socket_is_told_the_group(bed: Bed) -> None:
    path = bed.server.socket_path
    assert path.stat().st_mode & 0o777 == 0o660
    program = [sys.executable, "-m", "vpnws.ctl", "--socket", str(path), "status"]
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = run([*become, *program], check=False, cwd=REPOSITORY)
    assert done.returncode == Exit.UNREACHABLE
    assert "may not be used by nobody: its group is root" in done.stderr
