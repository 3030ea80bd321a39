"""A process of the server that hangs: it is killed, its stations hear of it, and others go on."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.live.server import Station, TwoWorkers, reach
from tests.support.processes import is_alive
from tests.support.uwsgi import Uwsgi
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

HANG_AFTER_S = 3
TOLD_S = 20.0
"""A generous bound for what is done within about HANG_AFTER_S; without a watchdog it never is."""
ROUNDS = 6
FLOOD = {
    "vpnws-hang-after": str(HANG_AFTER_S),
    "vpnws-station-limit": "60000",
    "vpnws-storm-limit": "0",
}


@contextmanager
def flooding(station: Station) -> Iterator[None]:
    """Send frames from one new MAC after the other, until the end of the block."""
    stop = threading.Event()

    def flood() -> None:
        for number in range(1, 60_000):
            if stop.is_set():
                return
            source = b"\x06" + station.mac[1:3] + number.to_bytes(3, "big")
            try:
                station.client.send_frame(b"\xff" * 6 + source + b"\x08\x00" + bytes(46))
            except OSError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_its_stations_are_told_and_come_back() -> None:
    with (
        TwoWorkers({"vpnws-hang-after": str(HANG_AFTER_S)}) as server,
        server.station(1) as doomed,
        server.station(2) as a,
        server.station(2) as b,
    ):
        hung, other = server.worker_pids()
        os.kill(hung, signal.SIGSTOP)
        assert doomed.client.is_closed(TOLD_S)
        server.wait_for_log("worker 1 has not answered")
        wait_for_another(server, hung)
        with server.station(1) as back:
            reach(back, a)
        reach(a, b)
        assert server.worker_pids()[1] == other


def wait_for_another(server: TwoWorkers, hung: int) -> None:
    """Wait until the first worker is not the process `hung` any more."""
    wait_for(lambda: server.worker_pids()[0] != hung, TOLD_S, "another worker")


def test_with_0_nobody_is_killed() -> None:
    off = {"vpnws-hang-after": "0"}
    with TwoWorkers(off) as server, server.station(1) as a, server.station(2) as b:
        pids = server.worker_pids()
        os.kill(pids[0], signal.SIGSTOP)
        time.sleep(HANG_AFTER_S + 3)
        os.kill(pids[0], signal.SIGCONT)
        reach(a, b)
        assert server.worker_pids() == pids


@pytest.mark.timeout(240)
def test_no_other_worker_waits_for_its_lock_for_ever_or_is_killed_for_that() -> None:
    """It is stopped while both workers write to the FDB all the time."""
    chance = random.Random(9)
    with TwoWorkers(FLOOD) as server:
        survivor = server.worker_pids()[1]
        for _ in range(ROUNDS):
            hung = server.worker_pids()[0]
            with (
                server.station(1) as one,
                server.station(2) as two,
                server.station(2) as witness,
                flooding(one),
                flooding(two),
            ):
                time.sleep(0.2 + chance.random() / 2)
                os.kill(hung, signal.SIGSTOP)
                wait_for_another(server, hung)
                assert not witness.client.is_closed(0.1)
            assert server.worker_pids()[1] == survivor
        with server.station(1) as a, server.station(2) as b:
            reach(a, b)


def test_with_the_master_killed_no_process_of_it_goes_on() -> None:
    """What starts next has the addresses for itself; one that hangs does not keep them either."""
    with TwoWorkers({}) as server, server.station(1) as one, server.station(2) as two:
        server.leaves_nothing = False
        pids = [*server.worker_pids(), *server.mule_pids()]
        os.kill(pids[0], signal.SIGSTOP)
        os.kill(server.master_pid, signal.SIGKILL)
        assert one.client.is_closed(TOLD_S)
        assert two.client.is_closed(TOLD_S)
        wait_for(lambda: not any(map(is_alive, pids)), TOLD_S, "all processes to be gone")
        again = Uwsgi(http=server.http, socket_path=server.socket_path, workers=2)
        with again:
            assert again.worker_pids()


def test_a_socket_that_is_lost_is_told_once_and_again_after_a_reload() -> None:
    with TwoWorkers({}) as server, server.station(1) as a, server.station(2) as b:
        os.kill(server.master_pid, signal.SIGHUP)
        assert a.client.read_close(10).close_code == 1012
        assert b.client.read_close(10).close_code == 1012
        server.wait_for_log("is ready", 2)
        time.sleep(2.5)
        assert "the socket" not in server.log_text()
        server.socket_path.unlink()
        told = f"the socket {server.socket_path} has been removed: no station can come in"
        server.wait_for_log(told)
        time.sleep(2.5)
        assert server.log_text().count(told) == 1
        os.kill(server.master_pid, signal.SIGHUP)
        server.wait_for_log(told, 2)
