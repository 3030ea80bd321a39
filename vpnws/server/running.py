"""Finds who listens at a unix socket already, and says how to reload or stop it."""

from __future__ import annotations

import errno
import re
import socket
import struct
from pathlib import Path
from typing import Final

_PEER: Final = struct.Struct("3i")
"""What SO_PEERCRED gives: pid, uid and gid (unix(7))."""
_LISTENS: Final = 0x10000
"""A flag of sockets in /proc/net/unix (proc_net(5))."""


def who_listens(path: Path) -> str | None:
    """Say who listens at the unix socket `path`, with what to do; None if nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path))
        # EAGAIN: it has so much to do that its backlog is full.
        if error == errno.EAGAIN or (error == errno.EACCES and _is_listed(path)):
            return "another server listens there already; stop that one"
        if error:
            return None
        pid, _, _ = _PEER.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return describe(pid)


def describe(pid: int) -> str:
    """Say that process `pid` listens, and how to reload and stop it; 0 is one that is not seen."""
    if not pid:
        return "a server in another container listens there already; stop that one"
    unit = _unit_of(pid)
    if unit:
        return (
            f"{unit} (process {pid}) listens there already; systemctl reload {unit} loads its"
            f" settings again, systemctl stop {unit} stops it"
        )
    name = _read(Path(f"/proc/{pid}/comm")).strip()
    if not name:
        return (
            f"process {pid} has died, and what it has started listens there still; stop that"
            " (ss -lxp names it)"
        )
    reloads = f"kill -HUP {pid} reloads it, " if name == "uwsgi" else ""
    return f"process {pid} ({name}) listens there already; {reloads}kill {pid} stops it"


def _unit_of(pid: int) -> str | None:
    """Return the systemd service that `pid` runs in, if it is one of the system's."""
    found = re.search(r"^0::/system\.slice/(?:.*/)?([^/]+\.service)$", _cgroup(pid), re.MULTILINE)
    return found[1] if found else None


def _cgroup(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cgroup"))


def _is_listed(path: Path) -> bool:
    """Tell whether the kernel has a listening socket of that path, whoever may connect to it."""
    for line in _read(Path("/proc/net/unix")).splitlines()[1:]:
        _, _, _, flags, *_, name = line.split()
        if name == str(path) and int(flags, 16) & _LISTENS:
            return True
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
