"""Runs the admin's commands when a TAP comes up and when it goes down."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Final

from vpnws.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOK_S: Final = 30
"""The time for an admin's commands: for each TAP at the start, for all TAPs at the stop. Commands
that take longer are killed, and count as failed."""
_SHOWN_BYTES: Final = 500


def run_hook(
    name: str,
    commands: str,
    *,
    network: str,
    device: str,
    mac: str,
    timeout_s: float = HOOK_S,
) -> None:
    """Run `commands`, the value of the setting `name`, in a shell that stops at the first failure.

    VPNWS_TAP, VPNWS_NETWORK and VPNWS_MAC tell them about the TAP. What they print goes to stderr,
    which is uWSGI's log. A program that they leave in the background lives on. Raises HookError.
    """
    environment = {
        **os.environ,
        "VPNWS_TAP": device,
        "VPNWS_NETWORK": network,
        "VPNWS_MAC": mac,
    }
    # A file and not a pipe: a program left in the background would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            status = _run(commands, environment, output, timeout_s)
        except subprocess.TimeoutExpired as error:
            raise HookError(
                f"{name} ({commands}) for {device} was not done within {timeout_s:.0f} s;"
                f" it said: {_said(output)}"
            ) from error
        if status:
            raise HookError(
                f"{name} ({commands}) failed for {device}, {_cause(status)}; it said:"
                f" {_said(output)}"
            )
        output.seek(0)
        sys.stderr.write(output.read().decode(errors="replace"))
        sys.stderr.flush()


def _run(commands: str, environment: Mapping[str, str], output: IO[bytes], timeout_s: float) -> int:
    """Return the shell's status. After `timeout_s`, kill its session and raise TimeoutExpired."""
    # In a session of its own: Ctrl-C in uWSGI's terminal is not for these commands.
    shell = subprocess.Popen(
        ["/bin/sh", "-ec", commands],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return shell.wait(timeout_s)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        raise


def _cause(status: int) -> str:
    return f"status {status}" if status > 0 else f"killed by signal {-status}"


def _said(output: IO[bytes]) -> str:
    """Return the end of what the commands printed, as one line."""
    output.seek(0)
    lines = output.read()[-_SHOWN_BYTES:].decode(errors="replace").split()
    return " ".join(lines) or "nothing"
