"""Runs the admin's commands when a TAP comes up and when it goes."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from vpnws.errors import HookError

HOOK_S: Final = 30
"""How long the commands for one TAP may take together."""
_SHOWN_BYTES: Final = 500


def run_hook(name: str, commands: str, *, network: str, device: str, mac: str) -> None:
    """Run `commands`, the setting `name`, in a shell that stops at the first failure.

    They find the TAP in VPNWS_TAP, VPNWS_NETWORK and VPNWS_MAC. Raises HookError.
    """
    environment = {
        **os.environ,
        "VPNWS_TAP": device,
        "VPNWS_NETWORK": network,
        "VPNWS_MAC": mac,
    }
    try:
        done = subprocess.run(
            ["/bin/sh", "-ec", commands],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HOOK_S,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        raise HookError(f"{name} ({commands}) was not done within {HOOK_S} s") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-_SHOWN_BYTES:]
        raise HookError(
            f"{name} ({commands}) failed for {device}, status {done.returncode}; it said: {said}"
        )
