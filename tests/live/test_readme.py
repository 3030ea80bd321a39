"""The README's commands do what it says: typed as they stand there, in shells, with its output."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.markdown import Block, Command, blocks, commands, table
from tests.support.prerequisites import require, require_tap, tool_path
from tests.support.shell import LEFT_OUT, PINGED, Shell
from tests.support.uwsgi import BINARY, REPOSITORY

if TYPE_CHECKING:
    from typing import Self

    from tests.live.server import TwoWorkers

README = (REPOSITORY / "README.md").read_text()
BLOCKS = [block for block in blocks(README) if commands(block) or block.tags]
NOT_RUN = {
    "apt-get": "what make calls tests/install-tools.sh for",
    "useradd": "changes the machine",
    "install": "changes the machine",
    "cd": "the checkout's place there",
    "runuser": "needs that user",
    "mkdir": "changes the machine's nginx",
    "cp": "changes the machine's nginx",
    "printf": "changes the machine's nginx",
    "nginx": "tests/netns/test_deploy_nginx.py runs that configuration",
    "vpnws-client": "its options are held by tests/unit/test_docs.py",
    "python3": "fetches packages",
    ".venv/bin/pip": "fetches packages",
    ".venv/bin/vpnws-client": "its options are held by tests/unit/test_docs.py",
    "curl": "test_a_look_at_the_switch_shows_what_it_says asks the same",
}
"""Commands outside the walk-through, and why this test does not run them."""
pytestmark = pytest.mark.live


class Walk:
    """The walk-through: its two namespaces under other names, and a shell in each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names = {side: f"vpnws-{os.getpid()}-{side}" for side in ("left", "right")}
        self._shells: dict[str, Shell] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        kind, value, trace = error
        try:
            self._stack.__exit__(kind, value, trace)  # type: ignore[arg-type]
        finally:
            for name in self.namespaces():
                pids = processes.run(["ip", "netns", "pids", name]).stdout.split()
                processes.kill([int(pid) for pid in pids])
                processes.run(["ip", "netns", "del", name])

    def namespaces(self) -> list[str]:
        """Return those of our namespaces that exist."""
        return [name for name in self._names.values() if Path("/run/netns", name).exists()]

    def do(self, block: Block) -> None:
        """Run a block's commands where it says."""
        (where,) = block.tags
        if block.language == "text":
            self._shell(where).expect(block.text.splitlines())
        for command in commands(block):
            if where == "namespaces":
                self._run_outside(command)
            else:
                self._shell(where).type(self._as_here(command.text), command.output)

    def leave(self) -> None:
        """Close the shells, as one does before the namespaces go."""
        self._stack.close()

    def _run_outside(self, command: Command) -> None:
        assert command.output == []
        if "netns del" in command.text:
            self.leave()
        words = command.text.split()
        processes.run([self._names.get(word, word) for word in words])

    def _shell(self, side: str) -> Shell:
        if side not in self._shells:
            transcript = self._stack.enter_context((self._directory / side).open("w"))
            shell = Shell(self._names[side], transcript)
            self._shells[side] = self._stack.enter_context(shell)
        return self._shells[side]

    def _as_here(self, text: str) -> str:
        """Return the command with this environment's programs and a socket of its own."""
        beside = Path(sys.executable).parent / "vpnws-client"
        client = str(beside) if beside.exists() else f"{sys.executable} -m vpnws.client"
        socket = f"--set-placeholder vpnws-socket={self._directory}/s.sock"
        return text.replace(".venv/bin/uwsgi", f"{BINARY} {socket}").replace(
            ".venv/bin/vpnws-client", client
        )


@pytest.mark.netns
def test_the_two_terminals_show_what_the_readme_shows() -> None:
    require_tap()
    require("ip", "ping", "bash")
    walk_through = [block for block in BLOCKS if block.tags]
    with tempfile.TemporaryDirectory(prefix="vpnws-readme-") as place, Walk(Path(place)) as walk:
        for block in walk_through:
            walk.do(block)
        assert walk.namespaces() == []
        assert not (Path(place) / "s.sock").exists()


def test_the_walk_through_has_all_its_parts() -> None:
    """So that the test above cannot pass because a block has lost its mark."""
    parts = [block.tags[0] for block in BLOCKS if block.tags]
    assert parts == ["namespaces", "left", "right", "right", "left", "left", "namespaces"]
    output = [line for block in BLOCKS for command in commands(block) for line in command.output]
    assert any(f"3 {PINGED}, 3 received, 0% packet loss" in line for line in output)


def test_every_other_command_is_accounted_for() -> None:
    first_words = {
        command.text.split()[0] for block in BLOCKS if not block.tags for command in commands(block)
    }
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


def test_a_look_at_the_switch_shows_what_it_says(stream: TwoWorkers) -> None:
    connection = http.client.HTTPConnection(*stream.http_address, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    said = [f"HTTP/1.1 {answer.status} {answer.reason}", *answer.read().decode().splitlines()]
    connection.close()
    (look,) = (
        command
        for block in BLOCKS
        for command in commands(block)
        if command.text.startswith("curl")
    )
    assert set(look.output) - {LEFT_OUT} <= set(said)
