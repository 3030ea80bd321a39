"""A descriptor that is readable while something is so: it stands for what no descriptor tells."""

from __future__ import annotations

import socket


class Flag:
    """Down at first."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self.fd = self._near.fileno()
        """Readable while the flag is up."""
        self.is_up = False

    def raise_(self) -> None:
        """Make the descriptor readable."""
        if not self.is_up:
            self._far.send(b"\0")
            self.is_up = True

    def lower(self) -> None:
        """Make the descriptor unreadable."""
        if self.is_up:
            self._near.recv(1)
            self.is_up = False

    def close(self) -> None:
        """Close the descriptors."""
        self._near.close()
        self._far.close()
