"""Sees whether the path of the unix socket still leads to the socket that the server listens on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.server import ini

if TYPE_CHECKING:
    from collections.abc import MutableMapping

IDENTITY: Final = "VPNWS_SOCKET_IDENTITY"
"""Where a start leaves the socket's device and inode in the environment, for its reloads: they
inherit the socket, and the path may lead somewhere else by then."""
RESTART: Final = (
    "no station can come in through it; those that are here stay. Restart the server: a reload does"
    " not make the socket again"
)


class SocketFile:
    """The unix socket's path, and the file that uWSGI has made there.

    The number of an inode is not used again while somebody listens on its socket.
    """

    def __init__(self, path: str, environment: MutableMapping[str, str]) -> None:
        """Note the file at `path`; call it in the master, where uWSGI has just bound its sockets.

        If `path` is no absolute path, as of a TCP socket, nothing is ever wrong.
        """
        self.path = Path(path) if path.startswith("/") and ":" not in path else None
        if not ini.is_reload(environment):
            environment[IDENTITY] = self._identity() or ""
        self._made = environment.get(IDENTITY, "")

    def trouble(self) -> str:
        """Return a sentence that says what is wrong and what to do; empty if all is well."""
        there = self._identity()
        if not self._made or there == self._made or there is None:
            return ""
        what = "now leads to another server's" if there else "has been removed"
        return f"the socket {self.path} {what}: {RESTART}"

    def _identity(self) -> str | None:
        """Return what tells the file from others, empty if there is none, None if we cannot see."""
        if self.path is None:
            return None
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return ""
        except OSError:
            return None
        return f"{there.st_dev}:{there.st_ino}"
