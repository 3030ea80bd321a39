"""A log that nobody reads: frames pass, stations come and go, and SIGTERM ends the server."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.live.server import Station, reach
from tests.support import processes
from tests.support.frames import mac
from tests.support.raw_client import RawClient
from tests.support.uwsgi import BINARY, INI, REPOSITORY, free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

PIPE_BYTES = 4096
STATIONS = 200
"""Each of them is two lines in the log, which are many times what the pipe holds."""
END_S = 15.0


def join(port: int, number: int) -> Station:
    """Join a station to the server."""
    client = RawClient("127.0.0.1", port)
    station = Station(client, mac(number))
    assert client.upgrade(headers=[station.header]).status == 101
    return station.joined()


def answers(port: int) -> bool:
    """Tell whether the server serves requests."""
    with suppress(OSError), RawClient("127.0.0.1", port) as client:
        return client.request("/").status == 426
    return False


@pytest.mark.timeout(120)
def test_nobody_reads_the_log(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    settings = [
        f"vpnws-http=127.0.0.1:{(port := free_port())}",
        f"vpnws-socket={tmp_path}/vpnws.sock",
    ]
    words = [word for setting in settings for word in ("--set-placeholder", setting)]
    command = [str(BINARY), *words, "--ini", str(INI), "--workers", "2"]
    server = subprocess.Popen(
        command, stdout=writing, stderr=writing, cwd=REPOSITORY, start_new_session=True
    )
    try:
        wait_for(lambda: answers(port), 20, "the server to answer")
        # It has said all of its start: from now on there is room for little more.
        said = os.read(reading, 65536)
        assert b"is ready" in said
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for number in range(1, STATIONS):
            join(port, number).client.close()
        with join(port, 1001) as a, join(port, 1002) as b, join(port, 1003) as c:
            reach(a, b)
            reach(b, c)
            while len(os.read(reading, 65536)) == 65536:
                pass
            # Nobody joins or leaves, and it is told all the same.
            wait_for(lambda: b"were dropped" in os.read(reading, 65536), 10, "word of the drops")
            for number in range(1, STATIONS):
                join(port, number).client.close()
        server.terminate()
        assert server.wait(END_S) == 0
    finally:
        os.close(writing)
        processes.kill_session(server)  # type: ignore[arg-type]
        os.close(reading)
