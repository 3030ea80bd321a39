"""The watchdog: it sees the heartbeats that the nodes write, kills, says so, and ends when told."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.fakes.devices import FakeDevices
from tests.fakes.house import MULE, House
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi, ProcessEnded
from vpnws.config import Settings
from vpnws.errors import ConfigError
from vpnws.server.hang import MIN_HANG_AFTER_S
from vpnws.server.peers.shared_page import SharedPage
from vpnws.server.processes import Siblings, Status
from vpnws.server.socket_file import SocketFile
from vpnws.server.start import Server
from vpnws.server.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIDS: Final = (71, 72, 73)
"""Those of two workers and a mule."""


class FakeProcesses:
    """A `Processes` of which all sleep until they are killed."""

    def __init__(self) -> None:
        self.living = dict.fromkeys(PIDS, Status("S", 0))
        self.killed: list[int] = []
        self.may_kill = True

    def are_hidden(self) -> bool:
        return not self.living

    def status(self, pid: int) -> Status | None:
        return self.living.get(pid)

    def kill(self, pid: int) -> None:
        if not self.may_kill:
            raise PermissionError("not yours")
        self.killed.append(pid)
        del self.living[pid]


class Bed:
    """A watchdog that runs until its first wait, over three processes that beat or do not."""

    def __init__(
        self, hang_after_s: int = 5, socket_path: str = "", *, shows_processes: bool = True
    ) -> None:
        self.loop = ManualLoop()
        uwsgi = FakeUwsgi(FakeMaster(self.loop, workers=2), self.loop, mule=2)
        settings = Settings(mode="bridge", tap=(("a", "vpn0"),), hang_after_s=hang_after_s)
        server = Server(self.loop, uwsgi, FakeDevices(), settings, {})
        self.page = server.page
        for slot, pid in enumerate(PIDS):
            self.page.join(slot, pid)
        self.processes = FakeProcesses()
        if not shows_processes:
            self.processes.living.clear()
        self.greenlet = self.loop.spawn(
            Watchdog(server, self.processes, SocketFile(socket_path, {}))
        )

    def live(self, seconds: int, *beating: int) -> None:
        """Let time pass in which the processes at these slots beat."""
        for _ in range(seconds):
            for slot in beating:
                self.page.beat(slot)
            self.loop.advance(1.0)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR)
    return caplog


def test_the_one_that_hangs_is_killed_and_named(said: pytest.LogCaptureFixture) -> None:
    bed = Bed()
    bed.live(6, 0, 2)
    assert bed.processes.killed == [72]
    (message,) = said.messages
    assert message.startswith("worker 2 has not answered for 5 s (process 72, state S): it is kil")
    assert "killed so far: 1" in message


def test_the_mule_is_watched_too(said: pytest.LogCaptureFixture) -> None:
    bed = Bed()
    bed.live(6, 0, 1)
    assert bed.processes.killed == [73]
    assert said.messages[0].startswith("mule has not answered")


def test_one_that_has_left_is_not_watched() -> None:
    bed = Bed()
    bed.page.join(2, 0)
    bed.live(100, 0, 1)
    assert bed.processes.killed == []


def test_with_0_nobody_is_watched() -> None:
    bed = Bed(hang_after_s=0)
    bed.live(1000)
    assert bed.processes.killed == []


def test_one_that_cannot_be_killed_is_logged(said: pytest.LogCaptureFixture) -> None:
    bed = Bed()
    bed.processes.may_kill = False
    bed.live(6, 0, 1)
    assert said.messages[1] == "process 73 cannot be killed: not yours"


def test_the_socket_is_minded_too_and_its_loss_said_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "vpnws.sock"
    path.touch()
    bed = Bed(hang_after_s=0, socket_path=str(path))
    bed.live(10)
    assert caplog.messages == []
    path.rename(tmp_path / "away")
    bed.live(10)
    (tmp_path / "away").rename(path)
    bed.live(10)
    lost, found = caplog.messages
    assert lost.startswith(f"the socket {path} has been removed: no station can come in")
    assert found == f"the socket {path} is in its place again"


def test_a_signal_ends_it() -> None:
    bed = Bed()
    with pytest.raises(ProcessEnded):
        bed.loop.send_signal(signal.SIGTERM)
    assert bed.greenlet.dead
    assert bed.loop.open_watchers() == []


def test_processes_that_cannot_be_seen_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Bed(shows_processes=False)
    assert caplog.messages[0].startswith("/proc hides other processes (hidepid)")


def test_a_time_that_is_too_short_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=f"set {MIN_HANG_AFTER_S} or more, or 0 for never"):
        Bed(hang_after_s=MIN_HANG_AFTER_S - 1)


def test_every_process_beats_and_a_mule_that_ends_does_not() -> None:
    with House(tap="vpn0") as house:
        first = house.server.page.pulses()
        processes = [*(house.processes[number] for number in (1, 2, MULE)), house.hooks]
        assert [pid for pid, _ in first] == [each.uwsgi.process_id() for each in processes]
        house.loop.advance(5.0)
        grown = [
            now - then
            for (_, now), (_, then) in zip(house.server.page.pulses(), first, strict=True)
        ]
        assert grown == [5, 5, 5, 5]
        house.signal_mule(signal.SIGTERM)
        assert [bool(pid) for pid, _ in house.server.page.pulses()] == [True, True, False, True]


def test_the_pulses_are_apart_from_the_other_numbers() -> None:
    page = SharedPage(2)
    page.set_ports(1, 3)
    epochs = page.epochs()
    page.join(0, 9)
    page.beat(0)
    page.beat(0)
    assert page.pulses() == [(9, 2), (0, 0)]
    assert (page.ports(), page.epochs()) == (3, epochs)


class TestSiblings:
    """Those of the machine; the test's own process stands for the watchdog."""

    @pytest.fixture
    def child(self) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(["sleep", "60"]) as process:
            yield process
            process.kill()

    def test_only_the_masters_are_seen_and_killed(self, child: subprocess.Popen[bytes]) -> None:
        """The child of this process is none of its siblings."""
        siblings = Siblings()
        assert siblings.status(child.pid) is None
        siblings.kill(child.pid)
        assert child.poll() is None
        assert siblings.status(os.getpid()) is not None
        assert not siblings.are_hidden()

    def test_one_that_is_gone_is_not_there(self) -> None:
        assert Siblings().status(2**22 + 1) is None

    def test_a_sibling_is_seen_and_killed(self, child: subprocess.Popen[bytes]) -> None:
        program = (
            "import sys; from vpnws.server.processes import Siblings; pid = int(sys.argv[1]);"
            " print(Siblings().status(pid).state); Siblings().kill(pid)"
        )
        arguments = [sys.executable, "-c", program, str(child.pid)]
        output = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
        assert output == "S\n"
        assert child.wait(10) == -signal.SIGKILL
