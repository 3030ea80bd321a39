"""Runs the admin's commands when a TAP comes up and when it goes down."""

from __future__ import annotations

import os
import sys
from typing import Final

from vpnws.errors import HookError
from vpnws.server import shell

HOOK_S: Final = 30
"""The time for an admin's commands: for each TAP at the start, for all TAPs at the stop. Commands
that take longer are killed, and count as failed."""


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
    ended = shell.run(commands, environment, timeout_s)
    if ended.killed_for:
        raise HookError(
            f"{name} ({commands}) for {device} was {ended.killed_for}; it said: {ended.said}"
        )
    if not ended.is_good:
        raise HookError(
            f"{name} ({commands}) failed for {device}, {ended.cause}; it said: {ended.said}"
        )
    sys.stderr.write(ended.output.decode(errors="replace"))
    sys.stderr.flush()
