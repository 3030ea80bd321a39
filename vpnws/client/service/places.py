"""Where running clients can be asked for their status: one socket each, in a directory."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "vpnws-client"
SYSTEM: Final = Path("/run", NAME)
"""The directory of the clients that root started."""
SUFFIX: Final = ".sock"
STALE_TIMEOUT_S: Final = 0.2
"""A client that does not take a connection for this long is left alone: it is not gone."""
MAX_SOCKETS: Final = 256
"""So many sockets are looked at in a directory; further ones are not."""


def directory(environment: Mapping[str, str], user_id: int) -> Path | None:
    """Return the directory for clients of a user, None if the user has none."""
    if user_id == 0:
        return SYSTEM
    own = environment.get("XDG_RUNTIME_DIR", "")
    return Path(own, NAME) if own else None


def socket_path(place: Path, tap_name: str) -> Path:
    """Return the path for this process's socket.

    Two network namespaces may have a TAP of one name each, so the name alone would not do.
    """
    return place / f"{tap_name.replace('/', '-')}.{os.getpid()}{SUFFIX}"


def sockets(place: Path) -> list[Path]:
    """Return the sockets in `place`, also those that a killed client left; at most MAX_SOCKETS."""
    try:
        return sorted(path for path in place.iterdir() if path.suffix == SUFFIX)[:MAX_SOCKETS]
    except OSError:
        return []


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Return a socket that is connected to a client. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def remove_stale(place: Path) -> None:
    """Remove sockets on which nobody listens any more."""
    for path in sockets(place):
        try:
            connect(path, STALE_TIMEOUT_S).close()
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            continue
