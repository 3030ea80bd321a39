"""Runs an admin's commands in a shell, for a bounded time, and returns the end of their output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OUTPUT_BYTES: Final = 1_000_000
"""Commands that print more are killed, and count as failed."""
KEPT_BYTES: Final = 65_536
"""Of an output, the end of this length is kept."""
SHOWN_BYTES: Final = 500
"""Of an output, the end of this length is shown with an error."""
_LOOK_EVERY_S: Final = 0.1
_running: set[int] = set()
"""The shells that `run` waits for, each the leader of its process group."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How commands have ended."""

    status: int
    """As of the shell: 0 is good; a negative one is the signal that killed it."""
    output: bytes = b""
    """The end of what they printed."""
    killed_for: str = ""
    """Why we have killed them; empty if we have not."""

    @property
    def is_good(self) -> bool:
        """Whether they were done, and said so."""
        return not self.status and not self.killed_for

    @property
    def cause(self) -> str:
        """What went wrong, in words."""
        if self.killed_for:
            return self.killed_for
        return f"status {self.status}" if self.status > 0 else f"killed by signal {-self.status}"

    @property
    def said(self) -> str:
        """The end of the output as one line."""
        return " ".join(self.output[-SHOWN_BYTES:].decode(errors="replace").split()) or "nothing"


def run(commands: str, environment: Mapping[str, str], timeout_s: float) -> Ended:
    """Run `commands` in a shell that stops at the first failure, with `environment` alone.

    After `timeout_s` the shell and all that it has started are killed. A program that it leaves in
    the background at a good end lives on. Raises OSError if there is no shell.
    """
    # A file and not a pipe: a program left in the background would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        # In a session of its own: Ctrl-C in uWSGI's terminal is not for these commands.
        shell = subprocess.Popen(
            ["/bin/sh", "-ec", commands],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(shell.pid)
        try:
            killed_for = _watch(shell, output, timeout_s)
        except BaseException:
            _kill(shell.pid)
            shell.wait()
            raise
        finally:
            # Not waited for yet, so its number is still its own.
            _running.discard(shell.pid)
        if killed_for:
            _kill(shell.pid)
        size_bytes = os.fstat(output.fileno()).st_size
        output.seek(max(0, size_bytes - KEPT_BYTES))
        return Ended(shell.wait(), output.read(KEPT_BYTES), killed_for)


def _watch(shell: subprocess.Popen[bytes], output: IO[bytes], timeout_s: float) -> str:
    """Wait for the shell's end; return why it must be killed, empty if it has ended."""
    until_s = time.monotonic() + timeout_s
    fd = os.pidfd_open(shell.pid)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    try:
        while (left_s := until_s - time.monotonic()) > 0:
            if poller.poll(1000 * min(left_s, _LOOK_EVERY_S)):
                return ""
            if os.fstat(output.fileno()).st_size > MAX_OUTPUT_BYTES:
                return f"killed: it printed more than {MAX_OUTPUT_BYTES} bytes"
    finally:
        os.close(fd)
    return f"not done within {timeout_s:.0f} s"


def kill_all() -> None:
    """Kill all that `run` waits for, because this process ends."""
    for pid in tuple(_running):
        _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
