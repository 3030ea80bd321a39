"""The client's doctor: how far it comes with each kind of server, and what it says there."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.ca import CertificateAuthority
from tests.support.echo_server import EchoServer
from tests.support.prerequisites import require
from vpnws.client.doctor import device, session
from vpnws.client.doctor.step import NoteError, SkippedError, State, Step, walk
from vpnws.client.program import cli
from vpnws.client.program.exits import Exit
from vpnws.errors import ConnectError, TapBusyError, TapPermissionError, VpnwsError
from vpnws.tap.memory import MemoryTap
from vpnws.tap.opener import Opened
from vpnws.wire.offer import Offer, encode
from vpnws.wire.probes import all_nodes_ping, full_size_frame, link_local
from vpnws.wire.records import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from websockets.sync.server import ServerConnection
    from websockets.typing import Subprotocol

MAC = bytes.fromhex("02000000000a")
OFFER = Offer(address=("10.8.0.7/24",), mtu=1400, notice="hello\nthere")
EXPECTED = ["name lookup", "route", "TCP", "proxy", "TLS"]
IN_SESSION = ["upgrade", "offload", "offer", "ping", "full size", "frames"]


class Walk(NamedTuple):
    """What the command did."""

    code: int
    steps: dict[str, dict[str, Any]]

    def states(self) -> dict[str, str]:
        return {name: step["state"] for name, step in self.steps.items()}

    def says(self, name: str) -> str:
        said: str = self.steps[name]["says"]
        return said


class Doctor:
    """Runs the command, and reads what it prints for programs."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Walk:
        self._capsys.readouterr()
        code = cli.main(["doctor", "--json", *words])
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return Walk(code, {each["step"]: each for each in lines})


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setattr(device, "open_device", opened)
    monkeypatch.setattr(session, "OFFER_WAIT_S", 5.0)
    return Doctor(capsys)


@pytest.fixture
def impatient(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """The doctor for servers that do not say something: it does not wait long for that."""
    for name in ("OFFER_WAIT_S", "PONG_WAIT_S", "FRAME_WAIT_S"):
        monkeypatch.setattr(session, name, 0.3)
    return doctor


def opened(name: str) -> Opened:
    tap = MemoryTap(name.replace("%d", "0"))
    return Opened(tap, tap.events, is_new=True, keep=lambda: None)


def url(server: EchoServer | int, scheme: str = "ws", host: str = "127.0.0.1") -> str:
    port = server if isinstance(server, int) else server.port
    return f"{scheme}://{host}:{port}/vpn"


class OurServer(EchoServer):
    """Speaks the subprotocol, and has something for the station."""

    def choose(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        return offered[0]

    def converse(self, connection: ServerConnection) -> None:
        connection.send(encode(OFFER))
        super().converse(connection)


@contextmanager
def mute_server(*, swallows_from: int = 0) -> Iterator[int]:
    """Upgrade every connection; answer no ping, or none behind a message of so many bytes."""
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    def serve(sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if b"WebSocket-Key" in line)
        accept = base64.b64encode(hashlib.sha1(key + guid).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        swallowed = 0
        while data := sock.recv(65536):
            swallowed += len(data)
            # A ping of ours has no payload: two bytes and the mask.
            if swallowed < swallows_from and data[:2] == b"\x89\x80":
                sock.sendall(b"\x8a\x00")
        sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                # The test of TCP alone sends nothing.
                threading.Thread(target=_quietly, args=(serve, sock), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _quietly(serve: Any, sock: socket.socket) -> None:
    try:
        serve(sock)
    except (OSError, StopIteration):
        sock.close()


class TestTheWholeWay:
    def test_with_a_server_of_ours_every_step_is_well(self, doctor: Doctor) -> None:
        with OurServer() as server:
            walk = doctor(url(server))
        assert walk.code == Exit.STOPPED
        assert list(walk.steps) == [*EXPECTED, *IN_SESSION, "device"]
        states = walk.states()
        assert {states.pop("proxy"), states.pop("TLS")} == {"skipped"}
        assert set(states.values()) == {"ok"}
        assert walk.says("route").startswith("127.0.0.1 by lo")
        assert walk.says("offer") == "address 10.8.0.7/24; MTU 1400; notice 'hello?there'"
        assert walk.says("device") == "a TAP can be made, such as vpndr0"
        announced = server.requests[-1].headers["X-vpn-ws-MAC"]
        assert announced in walk.says("upgrade")
        assert server.closed_with == [1000]

    def test_people_see_one_line_for_each_step(
        self, doctor: Doctor, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with OurServer() as server:
            assert cli.main(["doctor", url(server)]) == Exit.STOPPED
        first, *lines = capsys.readouterr().out.splitlines()
        assert first == url(server)
        assert len(lines) == len([*EXPECTED, *IN_SESSION, "device"])
        assert lines[2].split()[:2] == ["ok", "TCP"]
        assert "127.0.0.1 in " in lines[2]

    def test_a_plain_server_is_told_from_ours(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "OFFER_WAIT_S", 0.3)
        with EchoServer() as server:
            walk = doctor(url(server))
            assert (walk.code, walk.states()["offload"]) == (Exit.STOPPED, "note")
            assert walk.states()["offer"] == "skipped"
            assert doctor("--no-offload", url(server)).states()["offload"] == "skipped"

    def test_options_come_from_a_file_too(self, doctor: Doctor, tmp_path: Path) -> None:
        with OurServer() as server:
            file = tmp_path / "office.toml"
            file.write_text(f'tap = "tap7"\nurl = "{url(server)}"\nheader = "X-A: b"\n')
            walk = doctor("--config", str(file))
        assert server.requests[-1].headers["X-A"] == "b"
        assert walk.says("device") == "a TAP can be made, such as tap7"

    def test_of_several_servers_one_that_takes_the_station_is_enough(self, doctor: Doctor) -> None:
        with OurServer() as server, EchoServer(status=HTTPStatus.UNAUTHORIZED) as other:
            assert doctor(url(other), url(server)).code == Exit.STOPPED
            assert doctor(url(other)).code == Exit.REFUSED


class TestWhereItEnds:
    def test_at_a_name_that_cannot_be_looked_up(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        walk = doctor("wss://vpn.example.org/vpn")
        assert walk.code == Exit.CONNECT
        assert list(walk.steps) == ["name lookup", "route", "device"]
        assert walk.states()["route"] == "skipped"
        assert "Name or service not known" in walk.says("name lookup")

    def test_at_a_port_where_nobody_listens(self, doctor: Doctor) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        walk = doctor(url(port))
        assert walk.code == Exit.CONNECT
        assert list(walk.steps) == ["name lookup", "route", "TCP", "device"]
        assert walk.states()["TCP"] == "failed"
        assert "nobody listens there" in walk.says("TCP")

    def test_one_address_of_several_that_does_not_answer_is_a_note(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look_up(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
            hosts = ("127.0.0.1", "127.0.0.2")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with OurServer() as server:
            walk = doctor(url(server, host="vpn.example.org"))
        assert (walk.code, walk.states()["TCP"]) == (Exit.STOPPED, "note")
        assert "127.0.0.1 in " in walk.says("TCP")
        assert "nobody listens there" in walk.says("TCP")
        assert walk.says("name lookup") == "vpn.example.org: 127.0.0.1, 127.0.0.2"

    def test_at_a_server_that_refuses_the_user(self, doctor: Doctor) -> None:
        with EchoServer(status=HTTPStatus.UNAUTHORIZED) as server:
            walk = doctor(url(server))
        assert walk.code == Exit.REFUSED
        assert list(walk.steps) == [*EXPECTED, "upgrade", "device"]
        assert "--user and --password-file" in walk.says("upgrade")

    def test_at_a_proxy_that_is_none(self, doctor: Doctor) -> None:
        with EchoServer() as server:
            walk = doctor("--proxy", f"http://127.0.0.1:{server.port}", "ws://vpn.example.org/")
        assert walk.states()["proxy"] == "failed"
        assert list(walk.steps) == ["name lookup", "route", "TCP", "proxy", "device"]

    def test_at_a_server_that_goes_away(self, doctor: Doctor) -> None:
        class Leaving(EchoServer):
            def converse(self, connection: ServerConnection) -> None:
                connection.close(4003, "not you")

        with Leaving() as server:
            walk = doctor(url(server))
        assert walk.code == Exit.CONNECT
        # On a busy machine it goes away during a later step.
        assert "not you" in "".join(map(walk.says, walk.steps))

    def test_at_a_device_without_the_right_to_make_it(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: str) -> Opened:
            raise TapPermissionError("no permission")

        monkeypatch.setattr(device, "open_device", refuse)
        with OurServer() as server:
            walk = doctor(url(server))
        assert (walk.code, walk.says("device")) == (Exit.TAP_PERMISSION, "no permission")

    def test_not_at_a_device_that_a_client_has(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: str) -> Opened:
            raise TapBusyError("busy")

        monkeypatch.setattr(device, "open_device", refuse)
        with OurServer() as server:
            walk = doctor("--tap", "tap0", url(server))
            assert (walk.code, walk.states()["device"]) == (Exit.STOPPED, "note")
            assert doctor("--tap", "fd:3", url(server)).states()["device"] == "skipped"

    def test_a_server_that_answers_no_pings_is_a_note(self, impatient: Doctor) -> None:
        with mute_server() as port:
            walk = impatient(url(port))
        assert walk.states()["ping"] == "note"
        assert walk.states()["full size"] == "skipped"
        assert walk.states()["frames"] == "note"
        assert walk.code == Exit.STOPPED

    def test_at_long_frames_that_somebody_swallows(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "OFFER_WAIT_S", 0.3)
        monkeypatch.setattr(session, "PONG_WAIT_S", 2.0)
        with mute_server(swallows_from=1500) as port:
            walk = doctor(url(port))
        assert walk.states()["ping"] == "ok"
        assert "swallows long packets" in walk.says("full size")
        assert walk.code == Exit.CONNECT

    def test_at_wrong_options(self, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["doctor", "http://vpn.example.org/"]) == Exit.USAGE
        assert "the scheme is http, where ws is needed" in capsys.readouterr().err


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> CertificateAuthority:
        require("openssl")
        return CertificateAuthority(tmp_path)

    def test_it_says_who_certifies_the_server_and_until_when(
        self, doctor: Doctor, authority: CertificateAuthority
    ) -> None:
        with OurServer(context=authority.server_context("127.0.0.1")) as server:
            walk = doctor("--ca", str(authority.crt), url(server, "wss"))
            assert walk.code == Exit.STOPPED
            # The test's certificates last for days.
            assert walk.states()["TLS"] == "note"
            assert re.fullmatch(
                'TLSv1.3, a certificate signed by "CN=vpnws test CA", valid until [0-9-]{10}: it'
                " has to be renewed soon",
                walk.says("TLS"),
            )
            unknown = doctor(url(server, "wss"))
            assert (unknown.code, list(unknown.steps)[-2]) == (Exit.TLS, "TLS")
            assert "vpnws test CA" in unknown.says("TLS")
            assert doctor("--no-verify", url(server, "wss")).states()["TLS"] == "note"
            other = doctor("--ca", str(authority.crt), url(server, "wss", "localhost"))
            assert other.code == Exit.TLS

    def test_it_names_a_server_that_does_not_speak_it(self, doctor: Doctor) -> None:
        with EchoServer() as server:
            walk = doctor(url(server, "wss"))
        assert walk.states()["TLS"] == "failed"


def test_after_a_vital_step_only_those_that_are_not_vital_are_taken() -> None:
    def fail(error: Exception) -> Any:
        def take() -> str:
            raise error

        return take

    steps = [
        Step("a", fail(NoteError("n"))),
        Step("b", fail(SkippedError("s"))),
        Step("c", fail(ConnectError("c")), is_vital=False),
        Step("d", fail(VpnwsError("d"))),
        Step("e", lambda: "no"),
        Step("f", lambda: "yes", is_vital=False),
    ]
    results = [(each.name, each.state, each.says) for each in walk(steps, lambda: 0.0)]
    assert results == [
        ("a", State.NOTE, "n"),
        ("b", State.SKIPPED, "s"),
        ("c", State.FAILED, "c"),
        ("d", State.FAILED, "d"),
        ("f", State.OK, "yes"),
    ]


def test_the_probes_are_proper_frames() -> None:
    assert link_local(MAC) == bytes.fromhex("fe80000000000000000000fffe00000a")
    frame = all_nodes_ping(MAC)
    assert frame[:14] == bytes.fromhex("333300000001" + MAC.hex() + "86dd")
    assert len(frame) == 14 + 40 + 8
    assert frame[54:56] == bytes((128, 0))
    # The sum over the pseudo-header and the message is that of nothing (RFC 4443 2.3).
    pseudo = frame[22:54] + (8).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:]
    words = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, len(pseudo), 2))
    assert words % 0xFFFF == 0
    assert len(full_size_frame(MAC, 1500)) == 1514
    assert full_size_frame(MAC, 1500)[:6] == bytes.fromhex("0180c200000e")
    assert len(full_size_frame(MAC, 65521)) <= MAX_FRAME_BYTES
