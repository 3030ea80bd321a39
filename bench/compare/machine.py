"""The facts that figures depend on: processor, kernel, versions of all programs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench import report
from tests.support import processes
from tests.support.processes import CommandError
from tests.support.tools import tool_path
from tests.support.uwsgi import REPOSITORY

_CONGESTION: Final = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_COMMANDS: Final = {
    "openvpn": ("openvpn", "--version"),
    "tinc": ("tincd", "--version"),
    "nginx": ("nginx", "-v"),
    "uwsgi": ("uwsgi", "--version"),
    "openssl": ("openssl", "version"),
    "iperf3": ("iperf3", "--version"),
    "commit": ("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"),
}


def facts(congestion: str = "") -> dict[str, str | int]:
    """Return the facts by name; the default `congestion` is the machine's congestion control."""
    used = congestion or _CONGESTION.read_text().strip()
    versions = {name: _first_line(command) for name, command in _COMMANDS.items()}
    return {**report.machine(), "congestion control": used, **versions}


def _first_line(command: tuple[str, ...]) -> str:
    path = tool_path(command[0])
    if path is None:
        return "not installed"
    try:
        # openvpn --version ends with status 1.
        done = processes.run([path, *command[1:]], check=False)
    except CommandError as error:
        return str(error)
    return (done.stdout or done.stderr).strip().partition("\n")[0]
