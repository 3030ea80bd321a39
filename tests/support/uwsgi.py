"""Runs the server for real: uWSGI with the project's uwsgi.ini."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .service import Service
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .netns import Namespace

REPOSITORY = Path(__file__).resolve().parents[2]
INI = REPOSITORY / "uwsgi.ini"
BINARY = Path(sys.executable).parent / "uwsgi"

MULE_S = 2.0
"""How long the mule may take until it waits for events."""

_WORKER = re.compile(r"awned uWSGI worker (\d+) \D*(\d+)")
_MULE = re.compile(r"awned uWSGI mule (\d+) \D*(\d+)")
_MASTER = re.compile(r"spawned uWSGI master process \(pid: (\d+)\)")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Uwsgi(Service):
    """uWSGI from the start of a `with` block to its end.

    A Unix socket that it leaves behind is an error too.
    """

    name = "uWSGI"

    def __init__(
        self,
        *arguments: str,
        placeholders: Mapping[str, str] | None = None,
        namespace: Namespace | None = None,
        workers: int | None = None,
        http: str | None = None,
        socket_path: Path | None = None,
        ini: Path = INI,
        uid: int | str | None = None,
        env: Mapping[str, str] | None = None,
        leaves_nothing: bool = True,
        has_mule: bool = True,
        wrapper: Sequence[str] = (),
    ) -> None:
        """Plan a server.

        `arguments` follow `--ini` on the command line, and so win over the ini; `placeholders` are
        settings such as `{"vpnws-mode": "bridge"}`. `workers` is how many to start, by default as
        the ini says. `http` is the plain HTTP address: a free port of 127.0.0.1, or 0.0.0.0:8080 in
        a namespace. `socket_path` is the Unix socket of the uwsgi protocol, else one in a directory
        of its own. `uid` runs all of uWSGI as that user from the start; to have uWSGI drop root
        itself, give its own `--uid`. A test that kills the master says `leaves_nothing=False`, one
        whose ini has no mule `has_mule=False`. `wrapper` are words that run the command after them
        (exec).
        """
        super().__init__(namespace)
        self._workers = workers
        self._ini = ini
        self._user = _account(uid)
        self._env = dict(env or {})
        self.leaves_nothing = leaves_nothing
        self._has_mule = has_mule
        self._wrapper = wrapper
        self._socket_path = socket_path
        self._arguments = arguments
        self._placeholders = dict(placeholders or {})
        self.http = http or ("0.0.0.0:8080" if namespace else f"127.0.0.1:{free_port()}")

    @property
    def http_address(self) -> tuple[str, int]:
        """Where to connect for plain HTTP from the server's own machine: host and port."""
        return address_to_connect(self.http)

    @property
    def socket_path(self) -> Path:
        """The Unix socket of the uwsgi protocol; known once the `with` block is entered."""
        return self._socket_path or self.directory / "vpnws.sock"

    @property
    def master_pid(self) -> int:
        """The id of the master process, by the log if that names one."""
        named = _MASTER.findall(self.log_text())
        return int(named[-1]) if named else self.process.pid

    def worker_pids(self) -> list[int]:
        """Return the id of each worker's newest process, by worker number."""
        return newest_pids(_WORKER, self.log_text())

    def mule_pids(self) -> list[int]:
        """Return the id of each mule's newest process, by mule number."""
        return newest_pids(_MULE, self.log_text())

    def command(self) -> list[str]:
        """Return the command line, with all settings on it."""
        settings = {
            "vpnws-socket": str(self.socket_path),
            "vpnws-http": self.http,
            **self._placeholders,
        }
        given = [
            word for item in settings.items() for word in ("--set-placeholder", "=".join(item))
        ]
        counted = ["--processes", str(self._workers)] if self._workers else []
        # Before --ini: the ini sets its own addresses only if none were given before it.
        command = [str(BINARY), *given, "--ini", str(self._ini), *counted, *self._arguments]
        if not self._user:
            return [*self._wrapper, *command]
        uid, gid = self._user
        become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return [*self._wrapper, *become, *command]

    def environment(self) -> Mapping[str, str]:
        """Return what was given for it."""
        return self._env

    def working_directory(self) -> Path:
        """Return where the ini lies."""
        return self._ini.parent

    def lay_out(self) -> None:
        """Let the user write into the directory."""
        if self._user:
            os.chown(self.directory, *self._user)

    def is_ready(self) -> bool:
        """Return whether all workers have been spawned."""
        return len(self.worker_pids()) >= (self._workers or 1)

    def settle(self) -> None:
        """Wait for the mules.

        A SIGTERM before it is spawned hangs uWSGI 2.0. One while it starts is lost, and the master
        then waits 6 seconds.
        """
        if self._has_mule:
            with suppress(TimeoutError):
                wait_for(self._mules_wait_or_all_is_over, MULE_S, "the mules to wait")

    def _mules_wait_or_all_is_over(self) -> bool:
        mules = self.mule_pids()
        are_waiting = bool(mules) and all(map(is_waiting, mules))
        return are_waiting or self.process.poll() is not None

    def assert_nothing_left(self) -> None:
        """Raise `ServiceError` when a process lives on or the socket is still there."""
        super().assert_nothing_left()
        # uWSGI does not remove a socket that it inherited from itself in a reload.
        if self.socket_path.exists() and "gracefully (RE)spawned" not in self.log_text():
            raise self.failure(f"uWSGI left its socket behind: {self.socket_path}")

    def clean_up(self) -> None:
        """Remove the socket too."""
        try:
            super().clean_up()
        finally:
            self.socket_path.unlink(missing_ok=True)


def is_waiting(mule: int) -> bool:
    """Return whether a mule has replaced the master's signal handlers and waits for events."""
    try:
        caught = int(processes.status_field(mule, "SigCgt"), 16)
        sleeps_in = Path(f"/proc/{mule}/wchan").read_text()
    except OSError:
        return False
    return "poll" in sleeps_in and not caught >> (signal.SIGTSTP - 1) & 1


def address_to_connect(http: str) -> tuple[str, int]:
    """Return host and port to connect to for an address that uWSGI listens on."""
    host, _, port = http.rpartition(":")
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}
    return loopback.get(host, host.strip("[]")), int(port)


def newest_pids(spawned: re.Pattern[str], log: str) -> list[int]:
    """Return the last process id that the log gives for each number, ordered by number."""
    newest = {int(number): int(pid) for number, pid in spawned.findall(log)}
    return [newest[number] for number in sorted(newest)]


def _account(user: int | str | None) -> tuple[int, int] | None:
    if user is None:
        return None
    entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid
