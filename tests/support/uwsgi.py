"""Runs the server for real: uWSGI with the project's uwsgi.ini, and nothing left afterwards."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import processes
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from .netns import Namespace

REPOSITORY = Path(__file__).resolve().parents[2]
INI = REPOSITORY / "uwsgi.ini"
BINARY = Path(sys.executable).parent / "uwsgi"

START_S = 20.0
STOP_S = 15.0
MULE_S = 1.0
LOG_TAIL_BYTES = 8000

_NOWHERE = Path("/nonexistent")
_WORKER = re.compile(r"awned uWSGI worker (\d+) \D*(\d+)")
_MULE = re.compile(r"awned uWSGI mule (\d+) \D*(\d+)")
_MASTER = re.compile(r"spawned uWSGI master process \(pid: (\d+)\)")


class UwsgiError(Exception):
    """uWSGI did not start, did not stop or left something behind; the text ends with its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Uwsgi:
    """uWSGI from the start of a `with` block to its end.

    Leaving the block stops it and raises `UwsgiError` if a process of it, or its Unix socket,
    is still there (what is left is removed first). When the block itself fails, the end of the
    log is printed, for pytest to show.
    """

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
        wrapper: Sequence[str] = (),
    ) -> None:
        """Plan a server.

        `arguments` follow `--ini` on the command line, and so win over the ini; `placeholders`
        are settings such as `{"vpnws-mode": "bridge"}`. `workers` is their number, else the
        ini's. `http` is the plain HTTP address: a free port of 127.0.0.1, or 0.0.0.0:8080 in a
        namespace. `socket_path` is the Unix socket of the uwsgi protocol, else one in a
        directory of its own. `uid` runs all of uWSGI as that user from the start; to have uWSGI
        drop root itself, give its own `--uid`. A test that kills the master says
        `leaves_nothing=False`. `wrapper` are words that run the command after them (exec).
        """
        self._namespace = namespace
        self._workers = workers
        self._ini = ini
        self._user = _account(uid)
        self._env = dict(env or {})
        self._leaves_nothing = leaves_nothing
        self._wrapper = wrapper
        self._directory = _NOWHERE
        self._socket_path = socket_path
        self._arguments = arguments
        self._placeholders = dict(placeholders or {})
        self.http = http or ("0.0.0.0:8080" if namespace else f"127.0.0.1:{free_port()}")
        self._process: subprocess.Popen[str] | None = None
        self._log_at_exit = ""

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="vpnws-uwsgi-")
        self._directory = Path(self._temporary.name)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._end()
            print(f"--- uWSGI's log:\n{self.log_text()[-LOG_TAIL_BYTES:]}")
            return
        try:
            self.stop()
            if self._leaves_nothing:
                self._assert_nothing_left()
        finally:
            self._end()

    @property
    def http_address(self) -> tuple[str, int]:
        """Where to connect for plain HTTP from the server's own machine: host and port."""
        return address_to_connect(self.http)

    @property
    def socket_path(self) -> Path:
        """The Unix socket of the uwsgi protocol; known once the `with` block is entered."""
        return self._socket_path or self._directory / "vpnws.sock"

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that was started: the master. Raises `UwsgiError` before the start."""
        if self._process is None:
            raise UwsgiError("uWSGI was not started: use it in a with statement")
        return self._process

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

    def all_pids(self) -> list[int]:
        """Return the ids of all its living processes, the master's first."""
        return processes.session_pids(self.process.pid)

    def log_text(self) -> str:
        """Return the log so far; after the end, the whole."""
        with suppress(FileNotFoundError):
            return self._log.read_text(errors="replace")
        return self._log_at_exit

    def wait_for_log(self, text: str, timeout_s: float = 10.0) -> None:
        """Wait until the log has `text`. Raises `TimeoutError`."""
        wait_for(lambda: text in self.log_text(), timeout_s, f"uWSGI's log to say {text!r}")

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Send SIGTERM and wait; harmless when it has ended. Raises `UwsgiError` if it stays."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failure(
                f"uWSGI did not end within {timeout_s:g} s of SIGTERM (is die-on-term set?)"
            ) from None

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _command(self) -> list[str]:
        settings = {
            "vpnws-socket": str(self.socket_path),
            "vpnws-http": self.http,
            **self._placeholders,
        }
        given = [
            word for item in settings.items() for word in ("--set-placeholder", "=".join(item))
        ]
        counted = ["--processes", str(self._workers)] if self._workers else []
        # Before --ini: the ini fills in its own addresses only where none were given by then.
        command = [str(BINARY), *given, "--ini", str(self._ini), *counted, *self._arguments]
        if not self._user:
            return [*self._wrapper, *command]
        uid, gid = self._user
        become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return [*self._wrapper, *become, *command]

    def _start(self) -> None:
        if self._user:
            os.chown(self._directory, *self._user)
        launch = self._namespace.popen if self._namespace else processes.start
        with self._log.open("w") as sink:
            self._process = launch(
                self._command(), stdout=sink, stderr=sink, env=self._env, cwd=self._ini.parent
            )
        try:
            wait_for(self._is_up_or_over, START_S, "uWSGI to spawn its workers")
        except TimeoutError as error:
            raise self._failure(str(error)) from None
        # Its mule comes right after them; uWSGI 2.0 hangs on a SIGTERM that comes in between.
        with suppress(TimeoutError):
            wait_for(lambda: self.process.poll() is not None or self.mule_pids(), MULE_S, "a mule")
        if self._process.poll() is not None:
            raise self._failure(f"uWSGI ended at start, status {self._process.returncode}")

    def _is_up_or_over(self) -> bool:
        return self.process.poll() is not None or len(self.worker_pids()) >= (self._workers or 1)

    def _assert_nothing_left(self) -> None:
        # A child that the master has killed may take a moment to vanish.
        try:
            wait_for(lambda: not self.all_pids(), 2.0, "uWSGI's processes to be gone")
        except TimeoutError:
            raise self._failure(f"uWSGI left processes behind: {self.all_pids()}") from None
        # uWSGI does not remove a socket that it inherited from itself in a reload.
        if self.socket_path.exists() and "gracefully (RE)spawned" not in self.log_text():
            raise self._failure(f"uWSGI left its socket behind: {self.socket_path}")

    def _end(self) -> None:
        try:
            if self._process:
                processes.stop(self._process)
        finally:
            self.socket_path.unlink(missing_ok=True)
            self._log_at_exit = self.log_text()
            self._temporary.cleanup()

    def _failure(self, sentence: str) -> UwsgiError:
        return UwsgiError(f"{sentence}\n{self.log_text()[-LOG_TAIL_BYTES:]}")


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
