"""The first steps go as their pages say: typed as they stand there, in shells, with the output."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.assembly import Assembly
from tests.support.markdown import Block, blocks, commands, table
from tests.support.prerequisites import require, require_tap
from tests.support.shell import LEFT_OUT, PINGED, Shell
from tests.support.tools import tool_path
from tests.support.uwsgi import BINARY, REPOSITORY, Uwsgi
from tests.support.uwsgi_client import UwsgiClient

if TYPE_CHECKING:
    from tests.live.server import TwoWorkers

README = (REPOSITORY / "README.md").read_text()
TRY = (REPOSITORY / "docs" / "try.md").read_text()
CLIENT = (REPOSITORY / "docs" / "client.md").read_text()
PROXIES = (REPOSITORY / "docs" / "proxies.md").read_text()
FIRST_PING = [block for block in blocks(README) if "one" in block.tags]
"""The README's walk in one shell."""
TWO_MACHINES = [block for block in blocks(TRY) if block.tags]
"""The walk on two machines; here the README's two namespaces play them."""
OTHERS = [
    *(block for page in (README, TRY, CLIENT) for block in blocks(page) if not block.tags),
    *(block for block in blocks(PROXIES) if block.tags == ["nginx"]),
]
NOT_RUN = {
    "apt-get": "what make calls tests/install-tools.sh for",
    "make": "tests/live/test_fresh_clone.py does it in a fresh checkout",
    "useradd": "changes the machine",
    "install": "changes the machine",
    "cd": "the checkout's place there",
    "runuser": "needs that user",
    "mkdir": "changes the machine's nginx",
    "cp": "changes the machine's nginx",
    "printf": "changes the machine's nginx",
    "nginx": "tests/netns/test_deploy_nginx.py runs that configuration",
    "python3": "fetches packages",
    ".venv/bin/pip": "fetches packages",
    ".venv/bin/vpnws-client": "its options are held by tests/unit/test_docs.py",
    "ip": "test_a_user_needs_no_privileges_for_a_device_made_for_the_user makes the same device",
    ".venv/bin/vpnws-ctl": "test_the_operators_commands_of_the_readme_do_what_it_says runs them",
    "curl": "test_a_look_at_the_switch_shows_what_it_says asks the same",
}
"""Commands outside the two walks, and why this test does not run them."""
EXITED = "status of that:"
pytestmark = pytest.mark.live


class Walk(Assembly):
    """The first steps: their two namespaces under other names, and the shells."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names = {side: f"vpnws-{os.getpid()}-{side}" for side in ("left", "right")}
        self._shells: dict[str, Shell] = {}
        self._terminals = ExitStack()

    def build(self) -> None:
        """See that no namespace is left at the end, and close the shells before."""
        self.parts.callback(self._remove_namespaces)
        self.parts.push(self._terminals)

    def namespaces(self) -> list[str]:
        """Return those of our namespaces that exist."""
        return [name for name in self._names.values() if Path("/run/netns", name).exists()]

    def do(self, block: Block) -> None:
        """Run a block's commands in the shell that its mark names: one, left or right."""
        (where,) = block.tags
        if block.language == "text":
            self._shell(where).expect(block.text.splitlines())
        for command in commands(block):
            text = self._as_here(command.text)
            if command.output:
                self._shell(where).type(text, command.output)
            else:
                self._shell(where).type(f"{text}; echo '{EXITED}' $?", [f"{EXITED} 0"])

    def lay_the_cable(self) -> None:
        """Run what the README does before it starts the switch."""
        for command in commands(FIRST_PING[0]):
            processes.run(self._as_here(command.text).split())

    def leave(self) -> None:
        """Close the shells, as one does before the namespaces go."""
        self._terminals.close()

    def _remove_namespaces(self) -> None:
        for name in self.namespaces():
            pids = processes.run(["ip", "netns", "pids", name]).stdout.split()
            processes.kill([int(pid) for pid in pids])
            processes.run(["ip", "netns", "del", name])

    def _shell(self, side: str) -> Shell:
        if side not in self._shells:
            shell = Shell(self._names.get(side))
            self._shells[side] = self._terminals.enter_context(shell)
        return self._shells[side]

    def _as_here(self, text: str) -> str:
        """Return a command with this environment's programs and names, and a socket of its own."""
        beside = Path(sys.executable).parent / "vpnws-client"
        client = str(beside) if beside.exists() else f"{sys.executable} -m vpnws.client"
        socket = f"--set-placeholder vpnws-socket={self._directory}/s.sock"
        words = [self._names.get(word, word) for word in text.split(" ")]
        return (
            " ".join(words)
            .replace(".venv/bin/uwsgi", f"{BINARY} {socket}")
            .replace(".venv/bin/vpnws-client", client)
        )


@pytest.mark.netns
def test_the_first_ping_goes_as_the_readme_shows() -> None:
    require_tap()
    require("ip", "ping", "bash")
    with tempfile.TemporaryDirectory(prefix="vpnws-readme-") as place, Walk(Path(place)) as walk:
        for block in FIRST_PING:
            walk.do(block)
        walk.leave()
        assert walk.namespaces() == []
        assert not (Path(place) / "s.sock").exists()


@pytest.mark.netns
def test_two_machines_show_what_the_page_shows() -> None:
    require_tap()
    require("ip", "ping", "bash")
    with tempfile.TemporaryDirectory(prefix="vpnws-try-") as place, Walk(Path(place)) as walk:
        walk.lay_the_cable()
        for block in TWO_MACHINES:
            walk.do(block)
        walk.leave()
        assert not (Path(place) / "s.sock").exists()


def test_the_walks_have_all_their_parts() -> None:
    """So that the tests above cannot pass because a block has lost its mark."""
    assert len(FIRST_PING) == 4
    sides = [block.tags[0] for block in TWO_MACHINES]
    assert sides == ["left", "right", "right", "left", "left"]
    for walk in (FIRST_PING, TWO_MACHINES):
        output = [line for block in walk for command in commands(block) for line in command.output]
        assert any(f"3 {PINGED}, 3 received, 0% packet loss" in line for line in output)


def test_the_operators_commands_of_the_readme_do_what_it_says() -> None:
    (block,) = (block for block in blocks(README) if "vpnws-ctl" in block.text)
    stations = {"alice": "02:00:00:00:00:0a", "bob": "02:00:00:00:00:0b"}
    with Uwsgi() as server, ExitStack() as stack:
        joined = {}
        for user, mac in stations.items():
            joined[user] = stack.enter_context(UwsgiClient(server.socket_path))
            told = {"REMOTE_USER": user, "HTTP_X_VPN_WS_MAC": mac}
            assert joined[user].ask(told).status == 101
        said = {
            command.text.split()[1]: operate(command.text, server.socket_path)
            for command in commands(block)
        }
        closed = joined["alice"].read_close()
    assert list(said) == ["status", "trace", "kick"]
    assert "worker 2" in said["status"]
    assert "alice" in said["trace"]
    assert closed.payload[:2] == (4001).to_bytes(2, "big")
    assert b"please update your client" in closed.payload


def operate(command: str, path: Path) -> str:
    """Run a command of vpnws-ctl on the switch at `path`; return what it says."""
    words = [sys.executable, "-m", "vpnws.ctl", "--socket", str(path), *shlex.split(command)[1:]]
    done = subprocess.run(
        words, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_other_command_is_accounted_for() -> None:
    first_words = {command.text.split()[0] for block in OTHERS for command in commands(block)}
    assert first_words == set(NOT_RUN)


def test_make_runs_what_the_readme_says() -> None:
    require("make")
    rows = table(README, "command")
    assert [row[0] for row in rows] == ["`make run`", "`make test`"]
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    for made, _, then in rows:
        words = [tool_path("make") or "make", "-n", made.strip("`").split()[1]]
        done = subprocess.run(
            words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == then.strip("`")


def test_make_names_a_python_that_is_too_old(tmp_path: Path) -> None:
    require("make")
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    old = tmp_path / "old-python"
    pretend = "import sys; sys.version_info = (3, 10, 13); exec(sys.argv.pop(1))"
    old.write_text(f"#!/bin/sh\nshift; exec {sys.executable} -c '{pretend}' \"$@\"\n")
    old.chmod(0o755)
    words = [tool_path("make") or "make", f"PYTHON={old}", ".venv/ready"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"{old} is older than Python 3.11: name a newer one" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_application_is_no_program_of_its_own() -> None:
    words = [sys.executable, str(REPOSITORY / "vpnws_app.py")]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stderr == "vpnws: this runs inside uWSGI only: .venv/bin/uwsgi --ini uwsgi.ini\n"


def test_a_look_at_the_switch_shows_what_it_says(stream: TwoWorkers) -> None:
    connection = http.client.HTTPConnection(*stream.http_address, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    said = [f"HTTP/1.1 {answer.status} {answer.reason}", *answer.read().decode().splitlines()]
    connection.close()
    (look,) = (
        command
        for block in blocks(README)
        for command in commands(block)
        if command.text.startswith("curl")
    )
    assert set(look.output) - {LEFT_OUT} <= set(said)
