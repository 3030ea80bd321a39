"""Sees before uWSGI binds its sockets whether it can: uwsgi.ini runs it as a program.

uWSGI would say `bind(): Permission denied` without the path, and leave the TAPs of this start
behind. What else its user may not do is found first, before any TAP is made.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError
from vpnws.server import ini, users
from vpnws.server.access import check_access
from vpnws.server.log import say
from vpnws.server.running import who_listens
from vpnws.values import parse_listen

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SOCKET_PATH_BYTES: Final = 102
"""uWSGI takes no longer path for a unix socket; the kernel would take 107 (unix(7))."""
_IS_TCP: Final = re.compile(r"(?:[0-9.]*|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")
_NAME_ANOTHER: Final = "name another socket with --set-placeholder vpnws-socket=PATH"


def main() -> int:
    """Check the addresses that the environment names; return an exit code."""
    try:
        # uWSGI gives up root first, and listens then.
        users.become(users.read_uid(os.environ), users.read_gid(os.environ))
        if os.geteuid() != 0:
            check_access(os.environ)
        check_addresses(os.environ)
    except ConfigError as error:
        say(f"cannot start: {error}", ini.log_form(os.environ, {}))
        return 1
    return 0


def check_addresses(environment: Mapping[str, str]) -> None:
    """See that uWSGI will be able to listen where uwsgi.ini says, as the user it now runs as.

    In a reload, and where a running server is only checked, the addresses may be in use: by it.

    Raises ConfigError with the address, the reason and a remedy.
    """
    is_running = ini.is_reload(environment) or ini.only_checks(environment)
    check_socket(ini.seen(environment, "socket") or "", is_running=is_running)
    http = parse_listen(ini.seen(environment, "http") or "")
    check_tcp("vpnws-http", http, is_running=is_running)


def check_socket(text: str, *, is_running: bool) -> None:
    """See that uWSGI can listen at `text`, in any of the forms that it knows. Raises ConfigError.

    With a colon it is TCP, with @ at the beginning a name without a file, else a path.
    """
    if text.startswith("@"):
        check_abstract(text, is_running=is_running)
    elif _IS_TCP.fullmatch(text):
        check_tcp("vpnws-socket", text, is_running=is_running)
    elif text and ":" not in text:
        check_unix(Path(text), is_running=is_running)


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
            f"{what}: {users.name_of(os.geteuid())} may not write in {directory}; name a socket"
            " in a directory of that user's, as in --set-placeholder"
            " vpnws-socket=/run/vpnws/vpnws.sock"
        )
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ConfigError(f"{what}: there is a file that is no socket; remove it, or name another")
    running = None if is_running else who_listens(path)
    if running:
        raise ConfigError(f"{what}: {running}; for a second server {_NAME_ANOTHER}")
    if directory.stat().st_mode & stat.S_ISVTX and os.geteuid() not in (0, there.st_uid):
        raise ConfigError(
            f"{what}: there is a socket of another user's; remove it, or name another"
        )


def check_abstract(name: str, *, is_running: bool) -> None:
    """See that nobody has the name `@...`, which has no file (unix(7)). Raises ConfigError."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            # uWSGI counts a zero byte at the end as a part of the name.
            probe.bind(f"\0{name[1:]}\0")
        except OSError as error:
            if is_running and error.errno == errno.EADDRINUSE:
                return
            raise ConfigError(
                f"vpnws-socket = {name} cannot be made: {error.strerror}; stop who has it (ss -lxp"
                f" names it); for a second server {_NAME_ANOTHER}"
            ) from error


def check_tcp(setting: str, address: str, *, is_running: bool) -> None:
    """See that this process can listen at `address`, host:port or empty. Raises ConfigError.

    `setting` is where it comes from.
    """
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
                f"{setting} = {address} cannot be listened at: {why} (--set-placeholder"
                f" {setting}=ADDRESS:PORT)"
            ) from error


_TCP: Final = {
    errno.EADDRINUSE: "another program listens there; stop it (ss -ltnp names it), or give another",
    errno.EADDRNOTAVAIL: "this machine does not have that address (ip address shows what it has);"
    " give one that it has, or 0.0.0.0 or [::] for all",
    errno.EACCES: "only root may take a port below 1024; give a higher one",
}
"""Why an address cannot be had, and what to do."""


if __name__ == "__main__":
    sys.exit(main())
