"""The socket on which a running client tells its status to whoever connects."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vpnws.client.life import Follower
from vpnws.client.service.places import remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vpnws.client.aside import Aside
    from vpnws.client.service.report import StatusView

MODE: Final = 0o660
"""Who is in the group of the socket may ask, besides its owner."""
DIRECTORY_MODE: Final = 0o755
MAX_ACCEPTS: Final = 4
"""So many are answered at a time; frames have their turn, then the next ones."""
BACKLOG: Final = 8
"""So many may wait to be answered; for more, connect(2) fails with EAGAIN or waits."""

log = logging.getLogger(__name__)


class StatusSocket(Follower):
    """Answers each connection with one view, and ends it: nothing is read, and nothing waits.

    A view is shorter than a socket's buffer. So it is sent at once, or the reader gets nothing.
    """

    def __init__(self, path: Path, view: Callable[[], StatusView], aside: Aside) -> None:
        """Listen at `path`, and remove what killed clients left beside it. Raises OSError."""
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        remove_stale(path.parent)
        self.path = path
        """Where it listens."""
        self._view = view
        self._aside = aside
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._listen()
        except BaseException:
            self._socket.close()
            raise
        aside.watch(self._socket.fileno(), self._serve)

    def ended(self, reason: str) -> None:  # noqa: ARG002
        """Stop listening, and remove the socket's file."""
        self._aside.unwatch(self._socket.fileno())
        self._socket.close()
        # Without privileges it is the janitor who does that.
        with suppress(OSError):
            self.path.unlink()

    def _serve(self) -> None:
        """Answer those who have connected."""
        for _ in range(MAX_ACCEPTS):
            try:
                reader, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("nobody could be told the status: %s", error)
                return
            with reader, suppress(OSError):
                reader.setblocking(False)
                reader.send(self._view().encode())

    def _listen(self) -> None:
        self.path.unlink(missing_ok=True)
        # Nobody else may connect before the mode is set.
        before = os.umask(0o777 & ~MODE)
        try:
            self._socket.bind(str(self.path))
        finally:
            os.umask(before)
        self._socket.listen(BACKLOG)
