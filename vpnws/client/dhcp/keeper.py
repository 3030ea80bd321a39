"""A privileged process that runs a DHCP client of this system, and ends it with the station.

It is forked before the station's program gives its privileges up. When the socket to that closes,
also by a kill -9, the DHCP client gives its lease up and ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from vpnws.client.dhcp.report import REPORT_FD

if TYPE_CHECKING:
    from vpnws.client.dhcp.programs import Program

RELEASE_S: Final = 1.0
"""A DHCP client that has not given its lease up after this time is killed."""
ASK: Final = b"ask"
LEAVE: Final = b"leave"
DONE: Final = b"done"
_NOT_OURS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that are the station's: the keeper ends when that has ended, and not before."""
_FIRST_FD: Final = 3
_LAST_FD: Final = 2**31 - 1
log = logging.getLogger(__name__)


def fork_keeper(program: Program, device: str) -> tuple[socket.socket, int, int]:
    """Start a keeper of `program`; return the socket to it, the descriptor of reports, its pid.

    Raises OSError. Call it while this process has one thread.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        _run(far, writer, program, device)
    far.close()
    os.close(writer)
    return near, reader, pid


class Keeper:
    """The keeper's process."""

    def __init__(self, program: Program, device: str, directory: Path) -> None:
        """`directory` is the program's own."""
        self._program = program
        self._device = device
        self._directory = directory
        self._running: subprocess.Popen[bytes] | None = None

    def serve(self, sock: socket.socket) -> None:
        """Do as the station's program says, until it is gone."""
        self._program.write_files(self._directory)
        while (said := sock.recv(16)) == ASK:
            self._start()
        self._leave()
        if said:
            sock.send(DONE)

    def _start(self) -> None:
        """Start the DHCP client anew: so it asks at once, and may be in another network."""
        self._end(signal.SIGKILL)
        self._running = self._spawn(self._program.command(self._device, self._directory))

    def _leave(self) -> None:
        """Give the lease up, and end."""
        if self._running is None:
            return
        release = self._program.release(self._device, self._directory)
        self._end(signal.SIGKILL if release else signal.SIGTERM)
        if release:
            self._running = self._spawn(release)
            self._end(0)

    def _end(self, number: int) -> None:
        """End the program by a signal, or 0 to wait for its own end; at last by SIGKILL."""
        if self._running is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, number)
        try:
            self._running.wait(RELEASE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()
        self._running = None

    def _spawn(self, words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(REPORT_FD,),
        )


def _run(sock: socket.socket, writer: int, program: Program, device: str) -> NoReturn:
    """Be the keeper."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _NOT_OURS:
            # What is ignored would be ignored by the DHCP client too.
            signal.signal(number, _stay)
        far = _let_go(sock, writer)
        with tempfile.TemporaryDirectory(prefix="vpnws-dhcp-") as directory:
            Keeper(program, device, Path(directory)).serve(far)
        status = 0
    except BaseException:
        log.exception("the keeper of %s failed: please report this", program.name)
    finally:
        os._exit(status)


def _stay(_number: int, _frame: object) -> None:
    """Take a signal, and go on."""


def _let_go(sock: socket.socket, writer: int) -> socket.socket:
    """Close what the station has open but the socket, and have reports leave by REPORT_FD."""
    keeps = os.dup(sock.fileno()) if sock.fileno() == REPORT_FD else sock.detach()
    os.dup2(writer, REPORT_FD)
    os.set_blocking(REPORT_FD, True)
    low, high = sorted((keeps, REPORT_FD))
    os.closerange(_FIRST_FD, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, _LAST_FD)
    os.chdir("/")
    return socket.socket(fileno=keeps)
