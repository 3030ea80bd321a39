"""Hears that network devices of our own namespace have changed (rtnetlink(7)).

What a message says is not read: some are lost when many come at once. Whoever hears of a change
asks the device how it is now. So there is nothing to parse, and a library for it (pyroute2) would
be larger than the client.
"""

from __future__ import annotations

import logging
import socket
from typing import Final

_RTMGRP_LINK: Final = 1
MAX_MESSAGES: Final = 256
"""Messages that one `drain` forgets; if there are more, the descriptor stays readable."""
log = logging.getLogger(__name__)


class LinkEvents:
    """DeviceEvents of the kernel; they need no privileges."""

    def __init__(self) -> None:
        """Begin to hear. Raises OSError where netlink is forbidden."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))
        self.fd = self._socket.fileno()

    def drain(self) -> None:
        """Forget the changes so far."""
        for _ in range(MAX_MESSAGES):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return
            except OSError:
                # Messages were lost (ENOBUFS), and whoever hears asks anyway.
                continue

    def close(self) -> None:
        """Stop hearing."""
        self._socket.close()


class NoEvents:
    """DeviceEvents where nothing can be heard: a device is looked at before each connect only."""

    fd: Final = -1

    def drain(self) -> None:
        """Forget nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_events() -> LinkEvents | NoEvents:
    """Return what tells of changes in the network namespace of this thread."""
    try:
        return LinkEvents()
    except OSError as error:
        log.info("a device that changes is noticed only at the next connect: %s", error)
        return NoEvents()
