"""A station on a machine without a compiler: a wheel, pip or pipx, and frames cross at once.

The wheel is built as anybody would. It is installed where PATH has nothing and CC always fails, so
whatever had to be compiled would end the test; python-pytun is not among what comes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.checkout import copy_checkout
from tests.support.client_bed import MAC, ProgramBed, echoes, make_frame, on_the_tap
from tests.support.prerequisites import require
from tests.support.vpn import TAP, Client
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
OWN_IOCTLS = "from vpnws.tap import tun_device as t; print(t.open_tun is t.open_own)"
INSTALL_S = 100.0


@dataclass(frozen=True)
class Place:
    """A machine's directory for what is installed, with no compiler in reach."""

    directory: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What the installers see: this project's own sources are not in sight either."""
        return {
            "PATH": str(self.directory / "no-programs"),
            "CC": "/bin/false",
            "PYTHONPATH": "",
            "PIPX_HOME": str(self.directory / "pipx"),
            "PIPX_BIN_DIR": str(self.directory / "bin"),
        }

    def run(self, *command: str) -> str:
        """Run a command there; return what it prints."""
        done = processes.run(command, env=self.environment, cwd=self.directory, timeout_s=INSTALL_S)
        return done.stdout


class InstalledClient(Client):
    """The client's program as it was installed."""

    def __init__(self, namespace: Namespace, program: Path, *arguments: str) -> None:
        super().__init__(namespace, *arguments)
        self._program = program

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(self._program), *self._arguments]

    def working_directory(self) -> Path:
        """Return a directory without the project."""
        return self.directory

    def environment(self) -> Mapping[str, str]:
        """Hide the project that is being tested."""
        return {"PYTHONPATH": ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("git")
    source = tmp_path_factory.mktemp("source")
    copy_checkout(source)
    made = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", "--no-deps", "--wheel-dir", str(made), str(source)]
    processes.run(build, timeout_s=INSTALL_S)
    (found,) = made.glob("vpnws-*.whl")
    return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "no-programs").mkdir()
    return Place(tmp_path)


def carry_a_frame(bed: ProgramBed, program: Path) -> None:
    client = bed.parts.enter_context(
        InstalledClient(bed.namespace, program, "--mac", MAC, TAP, bed.url)
    )
    client.wait_until_connected()
    with on_the_tap(bed.namespace) as sock:
        sock.send(make_frame(1, 100))
        assert echoes(sock, 1) == [make_frame(1, 100)]
    assert client.stop() == Exit.STOPPED


def test_pip_installs_a_station_without_a_compiler(
    wheel: Path, place: Place, bed: ProgramBed
) -> None:
    machine = place.directory / "machine"
    python = str(machine / "bin" / "python")
    place.run(sys.executable, "-m", "venv", "--without-pip", str(machine))
    place.run(*PIP, "--python", python, "install", str(wheel))
    listed = place.run(*PIP, "--python", python, "freeze")
    assert sorted(line.split()[0].partition("==")[0] for line in listed.splitlines()) == [
        "vpnws",
        "websockets",
    ]
    assert place.run(python, "-c", OWN_IOCTLS).strip() == "True"
    carry_a_frame(bed, machine / "bin" / "vpnws-client")


def test_pipx_installs_a_station_without_a_compiler(
    wheel: Path, place: Place, bed: ProgramBed
) -> None:
    place.run(sys.executable, "-m", "pipx", "install", str(wheel))
    carry_a_frame(bed, place.directory / "bin" / "vpnws-client")
