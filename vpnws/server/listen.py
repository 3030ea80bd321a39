"""Sees before uWSGI binds its sockets whether it can: uwsgi.ini runs it as a program.

uWSGI would say `bind(): Permission denied` without the path, and leave the TAPs of this start
behind.
"""

from __future__ import annotations

import errno
import getpass
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.config import parse_listen
from vpnws.errors import ConfigError
from vpnws.server import ini

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SOCKET_PATH_BYTES: Final = 107
"""The kernel takes no longer path for a unix socket (unix(7))."""


def main() -> int:
    """Check the addresses that the environment names; return an exit code."""
    try:
        check_addresses(os.environ)
    except ConfigError as error:
        print(f"vpnws: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def check_addresses(environment: Mapping[str, str]) -> None:
    """See that uWSGI will be able to listen where uwsgi.ini says, as the user it now runs as.

    In a reload, and where a running server is only checked, the addresses may be in use: by it.

    Raises ConfigError with the address, the reason and a remedy.
    """
    is_running = ini.is_reload(environment) or ini.only_checks(environment)
    path = ini.seen(environment, "socket") or ""
    # uWSGI takes a name with a colon for TCP, and one with @ for a name without a file.
    if path.startswith("/") and ":" not in path:
        check_unix(Path(path), is_running=is_running)
    check_tcp(parse_listen(ini.seen(environment, "http") or ""), is_running=is_running)


def check_unix(path: Path, *, is_running: bool) -> None:
    """See that a unix socket can be made at `path`. Raises ConfigError."""
    what = f"vpnws-socket = {path} cannot be made"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError(f"{what}: a path has at most {MAX_SOCKET_PATH_BYTES} bytes; shorten it")
    directory = path.parent
    if not directory.is_dir():
        raise ConfigError(f"{what}: there is no directory {directory}; make it, or name another")
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise ConfigError(
            f"{what}: {_own_name()} may not write in {directory}; name a socket in a directory of"
            f" that user's, as in --set-placeholder vpnws-socket=/run/vpnws/vpnws.sock"
        )
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ConfigError(f"{what}: there is a file that is no socket; remove it, or name another")
    if not is_running and _somebody_listens(path):
        raise ConfigError(
            f"{what}: another server listens there; stop it, or name another with"
            " --set-placeholder vpnws-socket=PATH"
        )
    if directory.stat().st_mode & stat.S_ISVTX and os.geteuid() not in (0, there.st_uid):
        raise ConfigError(
            f"{what}: there is a socket of another user's; remove it, or name another"
        )


def check_tcp(address: str, *, is_running: bool) -> None:
    """See that this process can listen at `address`, host:port or empty. Raises ConfigError."""
    if not address:
        return
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and is_running:
                return
            why = _TCP.get(error.errno or 0, f"{error.strerror}; give another address")
            raise ConfigError(
                f"vpnws-http = {address} cannot be listened at: {why} (--set-placeholder"
                " vpnws-http=ADDRESS:PORT)"
            ) from error


_TCP: Final = {
    errno.EADDRINUSE: "another program listens there; stop it (ss -ltnp names it), or give another",
    errno.EADDRNOTAVAIL: "this machine does not have that address (ip address shows what it has);"
    " give one that it has, or 0.0.0.0 for all",
    errno.EACCES: "only root may take a port below 1024; give a higher one",
}
"""Why an address cannot be had, and what to do."""


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path))
    # EAGAIN: it has so much to do that its backlog is full.
    return error in (0, errno.EAGAIN)


def _own_name() -> str:
    try:
        return getpass.getuser() if os.getuid() == os.geteuid() else str(os.geteuid())
    except (KeyError, OSError):
        return f"user {os.geteuid()}"


if __name__ == "__main__":
    sys.exit(main())
