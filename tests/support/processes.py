"""Starts commands in sessions of their own, and ends every process that such a command left."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, TypedDict

from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Command: TypeAlias = "str | Sequence[str | os.PathLike[str]]"
Output: TypeAlias = "int | IO[str] | IO[bytes]"

GRACE_S = 3.0
"""How long a process may take to end after it was asked to."""
KILL_WAIT_S = 5.0


class CommandError(Exception):
    """A command failed or took too long; the text has its output."""


class Options(TypedDict, total=False):
    """How `start` starts a command."""

    stdin: Output
    stdout: Output
    stderr: Output
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None


def words(command: Command) -> list[str]:
    """Return the command's words; a string is split as a shell would, but no shell runs it."""
    if isinstance(command, str):
        return shlex.split(command)
    return [os.fspath(word) for word in command]


def start(
    command: Command,
    *,
    stdin: Output = subprocess.DEVNULL,
    stdout: Output = subprocess.PIPE,
    stderr: Output = subprocess.STDOUT,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> subprocess.Popen[str]:
    """Start a command as the leader of a new session; `env` is added to the environment.

    The default is an output pipe, which somebody must read: give a long-lived process a file.
    """
    return subprocess.Popen(
        words(command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "LC_ALL": "C", **(env or {})},
        cwd=cwd,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def run(
    command: Command,
    *,
    timeout_s: float = 30.0,
    check: bool = True,
    input_text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and end all that it left behind.

    Raises `CommandError` when it takes longer than `timeout_s`, or, with `check`, when its exit
    status is not 0.
    """
    process = start(
        command,
        stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
    )
    line = shlex.join(words(command))
    try:
        out, err = process.communicate(input_text, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill_session(process)
        out, err = process.communicate()
        raise CommandError(f"{line}: not done within {timeout_s:g} s\n{out}{err}") from None
    finally:
        kill_session(process)
    if check and process.returncode:
        raise CommandError(f"{line}: exit status {process.returncode}\n{out}{err}")
    return subprocess.CompletedProcess(words(command), process.returncode, out, err)


def stop(process: subprocess.Popen[str], *, grace_s: float = GRACE_S) -> int:
    """Ask the process to end, wait `grace_s`, kill what is left of its session.

    Returns the exit status as `Popen.returncode` has it.
    """
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    kill_session(process)
    return process.wait(KILL_WAIT_S)


def kill_session(process: subprocess.Popen[str]) -> None:
    """Kill the process and all others in the session that it leads."""
    if process.poll() is None:
        process.kill()
        process.wait(KILL_WAIT_S)
    kill(session_pids(process.pid))


def kill(pids: Sequence[int]) -> None:
    """Kill processes by id and wait until they are gone. Raises `TimeoutError` if one stays."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), KILL_WAIT_S, f"processes {pids} to be gone")


def session_pids(session: int) -> list[int]:
    """Return the ids of the living processes in a session, lowest first."""
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted(pid for pid in found if _state_and_session(pid) == (True, session))


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is more than a zombie."""
    return _state_and_session(pid)[0]


def status_field(pid: int, name: str) -> str:
    """Return a field of a process's status (proc_pid_status(5)). Raises `LookupError`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return value.strip()
    raise LookupError(name)


def _state_and_session(pid: int) -> tuple[bool, int]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False, 0
    # proc(5): the command's name may hold spaces and parentheses, so count from its last ")".
    state, _parent, _group, session, *_rest = text[text.rindex(")") + 2 :].split()
    return state not in "ZX", int(session)
