"""Leases on a real server: a crowd at once over two workers, reload, kill, restart, a full disk."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.live.server import TwoWorkers, reach
from tests.support import processes
from tests.support.frames import mac
from tests.support.waiting import wait_for
from vpnws.lease.answer import Holder, Lease
from vpnws.lease.leases import Leases
from vpnws.lease.plan import Plan
from vpnws.lease.pool import parse_pools
from vpnws.lease.who import Who
from vpnws.server.peers.leases import LeaseFile
from vpnws.wire.ethernet import format_mac
from vpnws.wire.offer import Offer, decode
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.raw_client import RawClient

pytestmark = pytest.mark.live

CROWD = 500
AT_ONCE = 50
"""Stations that are in their handshakes at the same time."""
POOL = "10.8.0.0/22"
READY = "is ready: mode"


def join(server: TwoWorkers, number: int) -> tuple[RawClient, Offer]:
    """Join a station, to one worker or the other; return its connection and what it is told."""
    client = server.connect(1 + number % 2)
    client.timeout_s = 30.0
    headers = [("X-vpn-ws-MAC", format_mac(mac(number)))]
    answer = client.upgrade(headers=headers, subprotocols=SUBPROTOCOL)
    assert answer.status == 101
    offer = decode(client.read_message().decode())
    assert offer is not None
    return client, offer


def crowd(server: TwoWorkers, parts: ExitStack, numbers: Sequence[int]) -> dict[int, str]:
    """Join many stations at once; return the address of each, which are all different."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        joined = dict(zip(numbers, pool.map(lambda n: join(server, n), numbers), strict=True))
    for client, _ in joined.values():
        parts.callback(client.close)
    found = {number: offer.address[0] for number, (_, offer) in joined.items()}
    assert len(set(found.values())) == len(numbers)
    return found


@pytest.mark.timeout(180)
def test_a_crowd_gets_an_address_each_and_keeps_it_whatever_happens_to_the_server(
    tmp_path: Path,
) -> None:
    settings = {"vpnws-pool": POOL, "vpnws-leases": str(tmp_path / "leases.db")}
    numbers = range(1, CROWD + 1)
    with TwoWorkers(settings) as server, ExitStack() as parts:
        first = crowd(server, parts, numbers)
        with server.station(1, number=9001) as a, server.station(2, number=9002) as b:
            reach(a, b)
        killed = server.worker_pids()[0]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: server.worker_pids()[0] != killed, 10.0, "another worker")
        wait_for(lambda: is_served(server), 10.0, "that worker to serve")
        back = [number for number in numbers if number % 2 == 0]
        assert crowd(server, parts, back) == {number: first[number] for number in back}
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log(READY, 2)
        assert crowd(server, parts, numbers) == first
    # The server has ended, and another one begins with its file.
    with TwoWorkers(settings) as server, ExitStack() as parts:
        assert crowd(server, parts, numbers[::7]) == {n: first[n] for n in numbers[::7]}
        assert "no address" not in server.log_text()


def is_served(server: TwoWorkers) -> bool:
    with contextlib.suppress(OSError, EOFError), server.connect(1) as client:
        return client.upgrade().status == 101
    return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory on a disk of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    processes.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)])
    try:
        yield folder
    finally:
        processes.run(["umount", "--lazy", str(folder)])


@pytest.mark.timeout(120)
def test_on_a_full_disk_stations_join_without_an_address_until_there_is_room(
    small_disk: Path,
) -> None:
    settings = {"vpnws-pool": POOL, "vpnws-leases": str(small_disk / "leases.db")}
    filler = small_disk / "filler"
    fill(filler)
    with TwoWorkers(settings) as server, ExitStack() as parts:
        for number in range(1, 5):
            client, offer = join(server, number)
            parts.callback(client.close)
            assert offer.address == ()
            assert "no address can be leased: " in offer.notice
        filler.unlink()
        wait_for(lambda: bool(try_address(server, 5)), 20.0, "leases once there is room")
        fill(filler)
        told = [try_address(server, number) for number in range(6, 200)]
        assert told[-1] == ""
        filler.unlink()
        assert try_address(server, 200)
        given = [address for address in told if address]
        assert len(set(given)) == len(given)
        said = [line for line in server.log_text().splitlines() if "no address can be" in line]
        assert said
        # Once for each worker and reason, however many stations there were.
        assert len(said) <= 8, said
        assert "Traceback" not in server.log_text()
        pids = server.worker_pids()
        assert len(set(pids)) == 2
        assert server.log_text().count("spawned uWSGI worker") == 2


def try_address(server: TwoWorkers, number: int) -> str:
    client, offer = join(server, number)
    client.close()
    return "".join(offer.address)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


HOLDER = """
import sys
from vpnws.server.peers.leases import LeaseFile
table = LeaseFile(sys.argv[1], "server", lambda: 0.0, lambda: None)
with table.change():
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_while_it_changes_the_table_leaves_it_whole(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "leases.db")
    table = LeaseFile(path, "server", lambda: 0.0, lambda: None)
    leases = Leases(table, Plan(parse_pools(POOL)), 600)
    assert isinstance(leases.lease("default", Who(mac=mac(1)), Holder(0, 1), 0.0), Lease)
    holder = processes.start(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "holds"
        refused = leases.lease("default", Who(mac=mac(2)), Holder(0, 2), 0.0)
        assert not isinstance(refused, Lease)
    finally:
        processes.kill_session(holder)
    assert isinstance(leases.lease("default", Who(mac=mac(2)), Holder(0, 2), 0.0), Lease)
    assert table.count() == 2
    table.close()
