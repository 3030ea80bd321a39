"""The life of a station on a TAP in memory: it connects, loses the connection, and tries again."""

from __future__ import annotations

import errno
import logging
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.support.echo_server import EchoServer
from tests.support.waiting import wait_for
from vpnws.client.carry.counters import ClientDrop
from vpnws.client.connect.url import parse_url
from vpnws.client.program.backoff import EXPELLED_S, FLOOR_S
from vpnws.client.program.station import Station
from vpnws.client.settings import ClientSettings
from vpnws.client.waiting import Stopped, StopRequest, Waiter
from vpnws.errors import ConnectError, NetworkChangedError, RefusedError, TapError, VpnwsError
from vpnws.tap.memory import MemoryTap
from vpnws.wire.records import NOTHING_TO_DO, SUBPROTOCOL, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.sync.server import ServerConnection
    from websockets.typing import Subprotocol

WAIT_S = 5.0
FRAME = bytes.fromhex("02000000000b02000000000a88b5") + bytes(46)
GREETING = FRAME[:-1] + b"\x02"
OTHER_FRAME = FRAME[:-1] + b"\x01"


class OffloadServer(EchoServer):
    """An echo server that chooses the subprotocol if it is offered."""

    def choose(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        return offered[0] if offered else None


class GatedWaiter(Waiter):
    """A waiter whose sleep ends when the test says so; it notes how long it was asked to sleep."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__(stop, time.monotonic)
        self.slept_s: list[float] = []
        self.gate = threading.Semaphore(0)

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        assert self.gate.acquire(timeout=WAIT_S)
        super().sleep(0.0)


class ChangingWaiter(GatedWaiter):
    """A waiter whose sleeps are ended by a change of the network, again and again."""

    def sleep(self, duration_s: float) -> None:
        super().sleep(duration_s)
        raise NetworkChangedError("another network")


class Life:
    """A station that runs in a thread."""

    def __init__(
        self,
        port: int,
        tap: MemoryTap,
        *,
        once: bool = False,
        waits: type[GatedWaiter] = GatedWaiter,
    ) -> None:
        self.tap = tap
        self.stop = StopRequest()
        self.waiter = waits(self.stop)
        url = parse_url(f"ws://127.0.0.1:{port}/vpn")
        settings = ClientSettings(tap_name=tap.name, url=url, once=once)
        self.station = Station(settings, None, tap, tap.events, self.waiter, lambda: 0.0)
        self.error: VpnwsError | Stopped | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ended(self) -> VpnwsError | Stopped | None:
        """Wait for the end; return what it was."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return self.error

    def sees(self, frame: bytes) -> bool:
        """Have the host send a frame; tell whether its echo is the next frame that comes in."""
        self.tap.host_send(frame)
        return self.tap.host_receive(WAIT_S)[-len(frame) :] == frame

    def is_greeted(self, server: EchoServer, count: int = 1, message: bytes = GREETING) -> bool:
        """Have the server greet on its newest connection, the `count`-th.

        What the host sends afterwards is not stale. Tell whether the greeting came in.
        """
        wait_for(lambda: len(server.connections) == count, WAIT_S, "the connection")
        server.connections[-1].send(message)
        return self.tap.host_receive(WAIT_S)[-len(GREETING) :] == GREETING

    def wait_for_sleep(self, count: int) -> None:
        wait_for(lambda: len(self.waiter.slept_s) == count, WAIT_S, "the wait for a new attempt")

    def close(self) -> None:
        self.stop.request()
        self.waiter.gate.release(10)
        self.ended()
        self.stop.close()

    def _run(self) -> None:
        try:
            self.station.run()
        except (VpnwsError, Stopped) as error:
            self.error = error


@pytest.fixture
def vnet_tap() -> Iterator[MemoryTap]:
    made = MemoryTap("tap9", has_vnet=True)
    made.up()
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer() as made:
        yield made


@pytest.fixture
def lives() -> Iterator[list[Life]]:
    """The stations of a test: what it puts here is ended after it."""
    made: list[Life] = []
    yield made
    for life in made:
        life.close()


def test_frames_cross_until_it_is_stopped(
    server: EchoServer, tap: MemoryTap, lives: list[Life]
) -> None:
    life = Life(server.port, tap)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    assert server.requests[0].headers["X-vpn-ws-MAC"] == "02:00:00:00:00:0a"
    life.stop.request()
    assert isinstance(life.ended(), Stopped)
    wait_for(lambda: server.closed_with == [1000], WAIT_S, "the server to see the close")
    assert life.station.counters.summary() == "1 frames sent, 2 received"


def test_a_lost_connection_is_made_again_without_what_became_stale(
    server: EchoServer, tap: MemoryTap, lives: list[Life], caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(server.port, tap)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    server.connections[0].close(1012, "restart")
    life.wait_for_sleep(1)
    tap.host_send(FRAME)
    life.waiter.gate.release()
    assert life.is_greeted(server, 2)
    assert life.sees(OTHER_FRAME)
    assert life.waiter.slept_s == [FLOOR_S]
    assert life.station.counters.drops == {ClientDrop.STALE: 1}
    assert (
        "the server closed the connection: 1012 (restart); trying again in 0.1 s" in caplog.messages
    )


def test_once_is_enough_if_told_so(server: EchoServer, tap: MemoryTap, lives: list[Life]) -> None:
    life = Life(server.port, tap, once=True)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    server.connections[0].close(1001)
    assert isinstance(life.ended(), ConnectError)
    assert life.waiter.slept_s == []


def test_another_network_ends_the_wait_for_a_server_that_is_away(
    server: EchoServer, tap: MemoryTap, lives: list[Life], caplog: pytest.LogCaptureFixture
) -> None:
    server.status = HTTPStatus.BAD_GATEWAY
    life = Life(server.port, tap, waits=ChangingWaiter)
    lives.append(life)
    life.wait_for_sleep(1)
    life.waiter.gate.release()
    life.wait_for_sleep(2)
    assert life.waiter.slept_s[1] == 0.0
    assert "another network; trying again at once" in caplog.messages


def test_another_network_does_not_bring_back_who_was_kicked(
    server: EchoServer, tap: MemoryTap, lives: list[Life], caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(server.port, tap, waits=ChangingWaiter)
    lives.append(life)
    assert life.is_greeted(server)
    server.connections[0].close(4001, "the operator ended this connection: update your client")
    life.wait_for_sleep(1)
    life.waiter.gate.release()
    life.wait_for_sleep(2)
    assert life.waiter.slept_s[1] > EXPELLED_S / 2
    told = [message for message in caplog.messages if "trying again" in message]
    assert told == [
        "the server closed the connection: 4001 (the operator ended this connection: update your"
        " client); trying again in 60.0 s"
    ]


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_a_refusal_ends_it_unless_it_was_connected_before(
    server: EchoServer, tap: MemoryTap, lives: list[Life], status: HTTPStatus
) -> None:
    server.status = status
    life = Life(server.port, tap)
    lives.append(life)
    assert isinstance(life.ended(), RefusedError)

    server.status = None
    life = Life(server.port, tap)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    server.status = status
    server.connections[-1].close(1012)
    life.wait_for_sleep(1)
    life.waiter.gate.release()
    life.wait_for_sleep(2)
    server.status = None
    life.waiter.gate.release()
    assert life.is_greeted(server, 2)


def test_a_server_that_is_not_there_yet_is_tried_again(
    server: EchoServer, tap: MemoryTap, lives: list[Life]
) -> None:
    server.status = HTTPStatus.BAD_GATEWAY
    life = Life(server.port, tap)
    lives.append(life)
    life.wait_for_sleep(1)
    server.status = None
    life.waiter.gate.release()
    assert life.is_greeted(server)


def test_a_device_that_fails_ends_it(server: EchoServer, tap: MemoryTap, lives: list[Life]) -> None:
    life = Life(server.port, tap)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    tap.host_delete()
    assert isinstance(life.ended(), TapError)
    assert str(life.error) == "the TAP device tap9 was deleted"
    wait_for(lambda: server.closed_with == [1001], WAIT_S, "the server to see the close")


def test_a_device_that_failed_during_an_outage_ends_it(
    server: EchoServer, tap: MemoryTap, lives: list[Life]
) -> None:
    tap.host_fail_reads(errno.EIO)
    life = Life(server.port, tap)
    lives.append(life)
    assert isinstance(life.ended(), TapError)
    assert str(life.error) == "the TAP device tap9 failed: Input/output error"


def test_offload_is_as_the_server_chooses_at_each_connection(
    vnet_tap: MemoryTap, lives: list[Life], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with OffloadServer() as server:
        life = Life(server.port, vnet_tap)
        lives.append(life)
        assert life.is_greeted(server, message=encode_record(GREETING))
        vnet_tap.host_send(FRAME)
        assert vnet_tap.host_receive(WAIT_S) == NOTHING_TO_DO + FRAME
        assert server.requests[0].headers["Sec-WebSocket-Protocol"] == SUBPROTOCOL
        assert any(message.endswith(" offload on") for message in caplog.messages)
        life.stop.request()
        life.ended()


def test_a_kernel_that_cannot_offload_is_told_and_offload_not_offered(
    server: EchoServer, lives: list[Life], caplog: pytest.LogCaptureFixture
) -> None:
    tap = MemoryTap("tap9", has_vnet=True, can_offload=False)
    tap.up()
    life = Life(server.port, tap)
    lives.append(life)
    assert life.is_greeted(server)
    assert life.sees(FRAME)
    assert "Sec-WebSocket-Protocol" not in server.requests[0].headers
    assert "this kernel completes the frames of tap9 itself: offload is not offered" in (
        caplog.messages
    )
    life.close()
    lives.clear()
    tap.close()
