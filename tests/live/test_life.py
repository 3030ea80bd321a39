"""Which stations live, and what becomes of them when workers die, reload and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
import websockets

from tests.live.server import Station, TwoWorkers, reach
from tests.support.crew import Crew
from tests.support.raw_frames import PING, PONG
from tests.support.waiting import wait_for

pytestmark = pytest.mark.live

KEEPALIVE_S = 20
C_CLIENT = ("X-vpn-ws-MAC", "02:00:00:00:07:01")
"""The `websockets` library pings after so long, and waits so long for the pong."""


@pytest.mark.timeout(90)
def test_quiet_clients_stay_for_two_keepalive_periods() -> None:
    """A raw one with a frame now and then and no pong; one of the `websockets` library, idle."""

    async def idle(uri: str) -> None:
        async with websockets.connect(uri) as client:
            await asyncio.sleep(2 * KEEPALIVE_S + 4)
            await client.send(bytes(60))
            await asyncio.wait_for(await client.ping(), 5)

    quick = {"vpnws-ping-every": "5", "vpnws-dead-after": "12"}
    with TwoWorkers(quick) as server, server.station(2) as raw:

        def speak_now_and_then() -> None:
            while not speaker.stop.wait(4):
                raw.send()

        speaker = Crew(speak_now_and_then)
        with speaker:
            asyncio.run(idle(f"ws://{server.http}/"))
        with server.station(1) as other:
            other.expect(raw.send(other.mac, mark=b"still here"))


@pytest.mark.parametrize("receiver", ["stream", "native"])
def test_silence_is_death_and_any_frame_is_life(receiver: str) -> None:
    settings = {
        "vpnws-ping-every": "1",
        "vpnws-dead-after": "3",
        "vpnws-receiver": receiver,
    }
    with TwoWorkers(settings) as server:
        with server.station(1) as silent, server.station(2) as never_pongs:
            closed = False
            for _ in range(80):
                never_pongs.send()
                if silent.client.is_closed(0.1):
                    closed = True
                    break
            assert closed
            server.wait_for_log("silent for 3 s")
            for _ in range(20):
                never_pongs.send()
                time.sleep(0.1)
            assert not never_pongs.client.is_closed(0.2)


def test_pings_come_to_a_quiet_station_and_its_pongs_keep_it() -> None:
    with TwoWorkers({"vpnws-ping-every": "1", "vpnws-dead-after": "3"}) as server:
        with server.station(1) as station:
            for _ in range(4):
                ping = station.client.read_frame()
                assert ping.opcode == PING
                station.client.send_frame(ping.payload, PONG)
            with server.station(2) as other:
                reach(station, other)


def test_a_c_client_that_only_listens_lives_and_is_not_pinged() -> None:
    """It names no version, never pongs, and pings only when nothing came for 17 s."""
    with (
        TwoWorkers({"vpnws-ping-every": "1", "vpnws-dead-after": "3"}) as server,
        server.station(2) as other,
        server.connect(1) as listener,
    ):
        assert listener.upgrade(headers=[C_CLIENT], version=None).status == 101
        for _ in range(12):
            sent = other.send()
            assert listener.read_frame().payload == sent
            time.sleep(0.5)
        other.client.close()
        # Nothing comes and nothing is heard: now it is dead.
        assert listener.is_closed(8)


class Beat(Crew):
    """Frames from one station to another, a hundred per second, and which of them arrived."""

    def __init__(self, one: Station, other: Station) -> None:
        super().__init__(self._send, self._hear)
        self._one, self._other = one, other
        self.sent: list[bytes] = []
        self.heard: list[bytes] = []

    def _send(self) -> None:
        while not self.stop.wait(0.01):
            mark = len(self.sent).to_bytes(4, "big")
            self.sent.append(self._one.send(self._other.mac, mark=mark))

    def _hear(self) -> None:
        while not self.stop.is_set() or len(self.heard) < len(self.sent):
            try:
                self.heard.append(self._other.client.read_message(0.5))
            except TimeoutError:
                if self.stop.is_set():
                    return


@pytest.mark.parametrize("receiver", ["stream", "native"])
def test_a_killed_worker_takes_only_its_own_stations_and_they_come_back(receiver: str) -> None:
    with (
        TwoWorkers({"vpnws-receiver": receiver}) as server,
        server.station(1, number=801) as doomed,
        server.station(2) as a,
        server.station(2) as b,
    ):
        reach(doomed, a)
        victim, survivor = server.worker_pids()
        with Beat(a, b) as beat:
            time.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            assert doomed.client.is_closed(3)
            back = _rejoin(server, 801)
            with back:
                reach(back, a)
            time.sleep(0.3)
        assert beat.heard == beat.sent
        assert server.worker_pids()[1] == survivor
        assert server.worker_pids()[0] != victim


def _rejoin(server: TwoWorkers, number: int) -> Station:
    """Join the first worker again as soon as there is one."""
    found: list[Station] = []

    def joins() -> bool:
        try:
            found.append(server.station(1, number=number))
        except (OSError, EOFError, TimeoutError):
            return False
        return True

    wait_for(joins, 3.0, "the killed worker's station to be back")
    return found[0]


def test_what_a_killed_worker_knew_is_forgotten() -> None:
    with TwoWorkers({}) as server, server.station(2) as witness, server.station(1) as doomed:
        reach(doomed, witness)
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        server.wait_for_log("forgot 1 stations of the process before")
        with server.station(2) as another:
            # Unknown again, so flooded: another station hears it.
            wait_for(
                lambda: another.hears(witness.send(doomed.mac), 0.1), 3, "frames to be flooded"
            )


@pytest.mark.timeout(120)
def test_workers_killed_under_load_leave_no_lock_behind() -> None:
    """uwsgi#1202: a process that dies inside the cache's lock must not stop the others."""
    with TwoWorkers({"vpnws-station-limit": "4000", "vpnws-storm-limit": "0"}) as server:
        for _ in range(8):
            stations = [server.station(worker) for worker in (1, 2)]
            for station in stations:
                for number in range(1500):
                    source = b"\x06" + station.mac[1:4] + number.to_bytes(2, "big")
                    station.client.send_frame(b"\xff" * 6 + source + b"\x08\x00" + bytes(46))
            os.kill(server.worker_pids()[0], signal.SIGKILL)
            for station in stations:
                station.client.close()
            _rejoin(server, 802).client.close()
        with server.station(1) as a, server.station(2) as b:
            reach(a, b)


@pytest.mark.parametrize("receiver", ["stream", "native"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_stations_are_told_of_a_reload_and_of_a_stop(number: signal.Signals, receiver: str) -> None:
    with TwoWorkers({"vpnws-receiver": receiver}) as server:
        with server.station(1) as a, server.station(2) as b:
            os.kill(server.master_pid, number)
            for station in (a, b):
                assert station.client.read_close(10).close_code == 1012
        if number == signal.SIGHUP:
            _rejoin(server, 803).client.close()
        else:
            server.process.wait(10)
