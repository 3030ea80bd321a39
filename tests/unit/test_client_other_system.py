"""The whole program where there is no Linux: on the way of a guest nothing needs it."""

from __future__ import annotations

import os
import pwd
import signal
import sys
from typing import TYPE_CHECKING

from tests.fakes.guest import FakeGuest
from tests.support import processes
from tests.support.echo_server import EchoServer
from tests.support.frames import EXPERIMENT, ethernet, mac
from tests.support.uwsgi import REPOSITORY
from tests.support.waiting import wait_for
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 20.0


def test_a_guest_joins_where_there_is_only_kqueue(tmp_path: Path) -> None:
    path, log = tmp_path / "vm.sock", tmp_path / "log"
    with EchoServer() as server, log.open("w") as sink:
        url = f"ws://127.0.0.1:{server.port}/"
        process = processes.start(
            # It stays who it is: a test has no capability to send another user's process a signal.
            [
                *(sys.executable, "-m", "tests.fakes.other_system"),
                *("--run-as", pwd.getpwuid(os.geteuid()).pw_name, f"qemu:{path}", url),
            ],
            stdout=sink,
            cwd=REPOSITORY,
        )

        def says(text: str, count: int) -> bool:
            said = log.read_text()
            assert process.poll() is None, said
            return said.count(text) == count

        try:
            wait_for(lambda: says("connected to", 1), WAIT_S, "the client to connect")
            guest = FakeGuest(str(path))
            frame = ethernet(EXPERIMENT, bytes(46), macs=mac(0x0B) + mac(0x77))
            guest.send(frame)
            # The guest's MAC is announced by a new connection.
            wait_for(lambda: says("connected to", 2), WAIT_S, "the client to connect again")
            assert server.requests[-1].headers["X-vpn-ws-MAC"] == "02:00:00:00:00:77"
            guest.send(frame)
            assert guest.receive() == frame
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_S) == Exit.STOPPED, log.read_text()
        finally:
            processes.stop(process)
    assert "Traceback" not in log.read_text()
    assert not path.exists()
