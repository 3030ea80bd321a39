"""The socket where a virtual machine comes in: one at a time, at a path that only we have."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

from vpnws.errors import TapBusyError, TapError, TapPermissionError

MAX_PATH_BYTES: Final = 107
"""A longer path of a unix socket is refused (unix(7))."""
MAX_WAITING: Final = 1
"""Guests that wait until we look; QEMU tries again when there is no room."""
MAX_UNREAD_BYTES: Final = 1 << 20
"""The socket holds so much that the guest has not read yet, if the system allows it; further frames
are dropped and counted."""


class QemuListener:
    """Listens at a path; what nobody listens at any more is replaced."""

    def __init__(self, path: str) -> None:
        """Begin to listen. Raises TapError, with a sentence that says what to do."""
        if not 0 < len(os.fsencode(path)) <= MAX_PATH_BYTES:
            raise TapError(
                f"qemu:{path} is not the path of a socket: it may have 1 to {MAX_PATH_BYTES} bytes"
            )
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self.fd = self._socket.fileno()
        try:
            self._bind()
            self._socket.listen(MAX_WAITING)
        except OSError as error:
            self._socket.close()
            raise _explained(error, path) from error
        except TapError:
            self._socket.close()
            raise
        self._inode = _inode(path)

    def accept(self) -> socket.socket | None:
        """Return the guest that has come, which does not block; None if none has."""
        try:
            guest, _ = self._socket.accept()
        except OSError:
            # Nobody is there (any more), or there are too many descriptors: a later look tells.
            return None
        guest.setblocking(False)
        # The system may allow less; macOS would begin with 8 KiB, less than one long frame.
        guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_UNREAD_BYTES)
        return guest

    def close(self) -> None:
        """Listen no more, and remove the socket's file if it is still ours."""
        self._socket.close()
        if _inode(self._path) == self._inode:
            try:
                os.unlink(self._path)
            except OSError:
                # Without the right to remove it, it is replaced at the next start.
                return

    def _bind(self) -> None:
        try:
            self._socket.bind(self._path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(self._path)
            self._socket.bind(self._path)


def _remove_stale(path: str) -> None:
    """Remove a socket's file that nobody listens at. Raises TapError if somebody does, OSError."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise TapError(f"{path} is there already and is no socket: name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            # Its waiting room is full, so somebody is there.
            pass
    raise TapBusyError(f"another program listens at {path}: end it, or name another path")


def _explained(error: OSError, path: str) -> TapError:
    directory = Path(path).parent
    if error.errno == errno.ENOENT:
        return TapError(f"there is no directory {directory}: make it (mkdir -p {directory})")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TapPermissionError(
            f"no permission to make a socket in {directory}: name a path in a directory of yours"
        )
    return TapError(f"cannot listen at {path}: {error.strerror}")


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
