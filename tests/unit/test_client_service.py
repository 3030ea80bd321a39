"""What a running client tells its system: systemd, the log, and who asks for its status."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from vpnws.client.aside import Aside
from vpnws.client.carry.counters import ClientDrop, Counters
from vpnws.client.connect.url import parse_url
from vpnws.client.life import Link
from vpnws.client.program import cli, command_status
from vpnws.client.program.exits import Exit
from vpnws.client.service import asking, places, start
from vpnws.client.service.logs import start_log
from vpnws.client.service.report import CONNECTED, CONNECTING, WAITING, Report, StatusView, decode
from vpnws.client.service.status_socket import MAX_ACCEPTS, StatusSocket
from vpnws.client.service.systemd import MAX_STATUS_CHARACTERS, Manager, SystemdFollower
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.errors import ConnectError
from vpnws.tap.memory import MemoryTap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = parse_url("wss://al:secret@vpn.example.org/vpn")
MAC = bytes.fromhex("02000000000a")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aside() -> Iterator[Aside]:
    made = Aside()
    yield made
    made.close()


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        yield near, far


def link(fd: int = -1) -> Link:
    return Link(URL, "203.0.113.5", "tap9", MAC, has_offload=True, fd=fd)


class Systemd:
    """The end of systemd: a datagram socket that gets what the service says."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return the assignments since the last call."""
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    is_path = request.param == "path"
    return str(tmp_path / "notify") if is_path else f"@vpnws-test-{os.getpid()}-{id(request)}"


class TestSystemd:
    def test_it_hears_how_the_station_is(self, address: str, aside: Aside, clock: Clock) -> None:
        systemd = Systemd(address)
        manager = Manager.from_environment({"NOTIFY_SOCKET": address})
        assert manager is not None
        follower = SystemdFollower(manager, aside, clock)
        follower.dialing(URL)
        assert systemd.heard() == ["STATUS=connecting to wss://vpn.example.org/vpn"]
        follower.lost(ConnectError("nobody listens"), 2.5)
        assert systemd.heard() == ["STATUS=trying again in 2.5 s: nobody listens"]
        follower.connected(link())
        said = "connected to wss://vpn.example.org/vpn as tap9 02:00:00:00:00:0a, offload on"
        assert systemd.heard() == ["READY=1", f"STATUS={said}"]
        follower.ended("stopped")
        assert systemd.heard() == ["STOPPING=1", "STATUS=stopped"]
        assert aside.next_at_s() == float("inf")

    def test_a_text_of_the_server_is_no_assignment(
        self, address: str, aside: Aside, clock: Clock
    ) -> None:
        systemd = Systemd(address)
        follower = SystemdFollower(Manager(address), aside, clock)
        follower.lost(ConnectError("it says\nMAINPID=1\nFDSTORE=1" + "x" * 10_000), 1.0)
        (line,) = systemd.heard()
        assert line.startswith("STATUS=trying again in 1.0 s: it says?MAINPID=1?FDSTORE=1xxx")
        assert len(line) == len("STATUS=...") + MAX_STATUS_CHARACTERS

    def test_the_loop_proves_that_it_lives(self, address: str, aside: Aside, clock: Clock) -> None:
        systemd = Systemd(address)
        environment = {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": "30000000",
            "WATCHDOG_PID": str(os.getpid()),
            "PATH": "/bin",
        }
        manager = Manager.from_environment(environment)
        assert manager is not None
        assert environment == {"PATH": "/bin"}
        SystemdFollower(manager, aside, clock)
        assert systemd.heard() == ["WATCHDOG=1"]
        for passed_s in (15.0, 30.0):
            aside.serve(100.0 + passed_s - 0.1)
            assert systemd.heard() == []
            aside.serve(100.0 + passed_s)
            assert systemd.heard() == ["WATCHDOG=1"]

    @pytest.mark.parametrize(
        "environment",
        [
            {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
            {"WATCHDOG_USEC": "soon"},
            {"WATCHDOG_USEC": "0"},
            {},
        ],
    )
    def test_a_watchdog_of_somebody_else_is_none(self, environment: dict[str, str]) -> None:
        manager = Manager.from_environment({"NOTIFY_SOCKET": "@x", **environment})
        assert manager is not None
        assert manager.watchdog_s is None

    @pytest.mark.parametrize("address", ["", "vsock:2:1234", "notify"])
    def test_without_a_socket_there_is_no_manager(self, address: str) -> None:
        assert Manager.from_environment({"NOTIFY_SOCKET": address}) is None

    def test_a_manager_that_does_not_take_it_is_told_once_and_hurts_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        manager = Manager(str(tmp_path / "nobody"))
        manager.tell("READY=1")
        manager.tell("READY=1")
        assert caplog.messages == ["systemd does not take our status: No such file or directory"]

    def test_a_manager_that_reads_nothing_stops_nothing(self, tmp_path: Path) -> None:
        systemd = Systemd(str(tmp_path / "notify"))
        manager = Manager(str(tmp_path / "notify"))
        for _ in range(10_000):
            manager.tell("WATCHDOG=1")
        assert "WATCHDOG=1" in systemd.heard()


class TestReport:
    def test_it_tells_the_state_and_its_times(self, clock: Clock) -> None:
        counters = Counters(frames_sent=3, frames_received=2)
        counters.drops[ClientDrop.STALE] += 1
        report = Report(counters, lambda: "tap9", clock)
        assert report.view().state == CONNECTING
        report.dialing(URL)
        report.lost(ConnectError("no\nway"), 4.0)
        clock.now_s += 1
        view = report.view()
        assert (view.state, view.retry_in_s, view.last_error) == (WAITING, 3.0, "no?way")
        assert view.last_error_age_s == 1.0
        for _ in range(2):
            report.dialing(URL)
            report.connected(link())
            clock.now_s += 5
        view = report.view()
        assert (view.state, view.connected_s, view.reconnects) == (CONNECTED, 5.0, 1)
        assert (view.server, view.server_address) == ("wss://vpn.example.org/vpn", "203.0.113.5")
        assert (view.mac, view.uptime_s) == ("02:00:00:00:00:0a", 11.0)
        assert (view.frames_sent, view.frames_received) == (3, 2)
        assert view.drops == {"queued while not connected": 1}
        assert (view.retry_in_s, view.rtt_s, view.pid) == (None, None, os.getpid())
        assert "secret" not in view.encode().decode()

    def test_the_kernel_tells_the_round_trip_and_the_bytes(
        self, clock: Clock, tcp: tuple[socket.socket, socket.socket]
    ) -> None:
        near, far = tcp
        report = Report(Counters(), lambda: "lo", clock)
        made = link(near.fileno())
        report.connected(made)
        assert report.view().ping_s is None
        made.round_trip.latest_s = 0.02
        near.sendall(bytes(3000))
        assert len(far.recv(3000, socket.MSG_WAITALL)) == 3000
        far.sendall(bytes(500))
        near.recv(500, socket.MSG_WAITALL)
        view = report.view()
        # Some kernels count the SYN too.
        assert view.sent_bytes in (3000, 3001)
        assert view.received_bytes == 500
        assert view.rtt_s is not None
        assert 0 < view.rtt_s < 1
        assert view.ping_s == 0.02
        assert view.addresses[0] == "127.0.0.1"
        # The descriptor is borrowed: it is still open.
        near.sendall(b"x")

    def test_what_another_version_says_is_left_out(self) -> None:
        assert decode(b'{"tap": "tap3", "colour": "red"}') == StatusView(tap="tap3")
        for wrong in (b"[1]", b"{", b""):
            with pytest.raises(ValueError, match=r"."):
                decode(wrong)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's clients have their sockets, instead of root's or a user's directory."""
    made = tmp_path / "run"
    for module in (places, command_status):
        monkeypatch.setattr(module, "SYSTEM", made)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(places, "NAME", "run")
    monkeypatch.setattr(asking, "ANSWER_S", 0.3)
    monkeypatch.setattr(command_status, "RATE_S", 0.0)
    return made


@contextmanager
def serving(aside: Aside) -> Iterator[None]:
    """Serve in a thread what is aside, as the client's loop does."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            aside.serve(0.0)
            ended.wait(0.005)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["status", *words])
    out, err = capsys.readouterr()
    return code, out, err


class TestStatus:
    def test_a_client_is_shown_to_people_and_to_programs(
        self, place: Path, aside: Aside, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report = Report(Counters(frames_sent=1234), lambda: "tap9", clock)
        socket_ = StatusSocket(places.socket_path(place, "tap9"), report.view, aside)
        (path,) = places.sockets(place)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        report.dialing(URL)
        report.lost(ConnectError("nobody listens"), 2.0)
        with serving(aside):
            code, out, err = shown(capsys)
            assert (code, err) == (Exit.CONNECT, "")
            assert out.startswith("tap9: not connected, trying again in 2.0 s\n")
            assert "\n  last error  0 s ago: nobody listens\n" in out
            report.connected(link())
            clock.now_s += 3723
            code, out, err = shown(capsys, "tap9")
            assert (code, err) == (Exit.STOPPED, "")
            assert out.splitlines()[0] == (
                "tap9: connected to wss://vpn.example.org/vpn (203.0.113.5) for 1 h 2 min"
            )
            assert "\n  frames      1,234 sent, 0 received\n" in out
            code, out, _ = shown(capsys, "--json")
            assert json.loads(out)["state"] == "connected"
            assert json.loads(out)["sent_bytes_per_s"] is None
            code, out, err = shown(capsys, "tap1")
            assert (code, out) == (Exit.CONNECT, "")
            assert "no client is running for tap1" in err
        socket_.ended("stopped")
        assert places.sockets(place) == []
        assert "no client is running" in shown(capsys)[2]

    def test_rates_are_those_between_two_answers_of_one_connection(self) -> None:
        before = StatusView(connected_s=1, clock_s=10, sent_bytes=1000, received_bytes=0)
        now = StatusView(connected_s=3, clock_s=12, sent_bytes=5000, received_bytes=100)
        seen = asking.rated(before, now)
        assert (seen.sent_bytes_per_s, seen.received_bytes_per_s) == (2000, 50)
        again = StatusView(connected_s=1, clock_s=12, sent_bytes=9, reconnects=1)
        for other in (again, before, StatusView(clock_s=12)):
            assert asking.rated(before, other).sent_bytes_per_s is None
        assert asking.rated(None, now).sent_bytes_per_s is None

    def test_a_client_that_hangs_is_told_and_one_that_was_killed_is_none(
        self, place: Path, aside: Aside, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        killed = StatusSocket(place / "tap1.1.sock", Report(Counters(), str, clock).view, aside)
        aside.unwatch(killed._socket.fileno())
        killed._socket.close()
        assert (place / "tap1.1.sock").exists()
        assert "no client is running" in shown(capsys)[2]
        StatusSocket(place / "tap2.2.sock", Report(Counters(), str, clock).view, aside)
        assert [path.name for path in places.sockets(place)] == ["tap2.2.sock"]
        code, out, err = shown(capsys)
        assert (code, out) == (Exit.CONNECT, "")
        assert "tap2.2.sock: no answer within " in err

    def test_a_reader_that_reads_nothing_hurts_nobody(
        self, place: Path, aside: Aside, clock: Clock
    ) -> None:
        report = Report(Counters(), lambda: "tap9", clock)
        StatusSocket(place / "tap9.1.sock", report.view, aside)
        stuck = [places.connect(place / "tap9.1.sock", 1.0) for _ in range(MAX_ACCEPTS + 1)]
        stuck[0].close()
        for _ in range(2):
            aside.serve(0.0)
        for each in stuck[1:]:
            assert decode(each.recv(65536)).tap == "tap9"
            each.close()

    def test_where_no_socket_can_be_there_is_a_client_all_the_same(
        self, place: Path, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        place.write_text("a file where the directory should be")
        caplog.set_level(logging.INFO)
        tap = MemoryTap("tap9")
        with StopRequest() as stop:
            waiter = Waiter(stop, clock)
            followers = start.start(tap, waiter, Counters())
            waiter.close()
        assert [type(each) for each in followers] == [Report]
        assert caplog.messages[0].startswith("`vpnws-client status` will not show this client: ")
        tap.close()

    def test_two_clients_of_one_name_have_a_socket_each(self, tmp_path: Path) -> None:
        assert places.socket_path(tmp_path, "tap0").name == f"tap0.{os.getpid()}.sock"
        assert places.socket_path(tmp_path, "qemu:/a/b").parent == tmp_path


class TestLog:
    def lines(self, capsys: pytest.CaptureFixture[str], **more: Any) -> list[str]:
        before = logging.getLogger().handlers[:]
        start_log("vpnws-client", **more)
        try:
            log = logging.getLogger("vpnws.client.test")
            log.info("connected to %s", "x", extra={"event": "connected"})
            log.warning('two\n"lines"')
            try:
                raise KeyError("defect")
            except KeyError:
                log.exception("it broke")
        finally:
            logging.getLogger().handlers[:] = before
        return capsys.readouterr().err.splitlines()

    def test_for_programs_each_record_is_one_object(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = [json.loads(line) for line in self.lines(capsys, form="json")]
        assert [(each["level"], each["event"], each["message"]) for each in found] == [
            ("info", "connected", "connected to x"),
            ("warning", "message", 'two\n"lines"'),
            ("error", "message", "it broke"),
        ]
        assert found[0]["time"].endswith("Z")
        assert "KeyError: 'defect'" in found[2]["traceback"]

    def test_for_people_there_is_the_program_and_the_text(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.lines(capsys)[0] == "vpnws-client: connected to x"
        assert self.lines(capsys, quiet=True)[0] == "vpnws-client: two"
