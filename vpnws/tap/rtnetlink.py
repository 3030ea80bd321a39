"""Speaks rtnetlink(7): hears that something has changed in our network namespace, and asks once.

What a message of a change says is not read: some are lost when many come at once. Whoever hears of
one asks how things are now.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import Final

_RTMGRP_LINK: Final = 0x1
_RTMGRP_IPV4_IFADDR: Final = 0x10
_RTMGRP_IPV4_ROUTE: Final = 0x40
_RTMGRP_IPV6_IFADDR: Final = 0x100
_RTMGRP_IPV6_ROUTE: Final = 0x400
_NETWORK: Final = (
    _RTMGRP_LINK
    | _RTMGRP_IPV4_IFADDR
    | _RTMGRP_IPV4_ROUTE
    | _RTMGRP_IPV6_IFADDR
    | _RTMGRP_IPV6_ROUTE
)
MAX_MESSAGES: Final = 256
"""Messages that one `drain` forgets; if there are more, the descriptor stays readable."""
ANSWER_BYTES: Final = 8192
"""One read of the kernel's answer; answers about one route or device have a few hundred bytes."""
_HEADER: Final = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_NLM_F_REQUEST: Final = 1
log = logging.getLogger(__name__)


class ChangeEvents:
    """DeviceEvents of the kernel; they need no privileges."""

    def __init__(self, groups: int) -> None:
        """Begin to hear of changes in `groups`. Raises OSError where netlink is forbidden."""
        self._socket = _open()
        self._socket.bind((0, groups))
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


def open_events() -> ChangeEvents | NoEvents:
    """Return what tells of changed devices in the network namespace of this thread."""
    return _opened(_RTMGRP_LINK, "a device that changes is noticed only at the next connect")


def open_network_events() -> ChangeEvents | NoEvents:
    """Return what tells of changed devices, addresses and routes, of IPv4 and of IPv6."""
    return _opened(_NETWORK, "another network is noticed only when the server is silent")


def ask(kind: int, question: bytes) -> tuple[int, bytes]:
    """Ask the kernel; return the type of its answer, and what follows the answer's header.

    `kind` is the type of the question. The kernel answers before the question's system call ends,
    so there is no wait. Raises OSError.
    """
    with _open() as sock:
        length = _HEADER.size + len(question)
        sock.send(_HEADER.pack(length, kind, _NLM_F_REQUEST, 0, 0) + question)
        answer = sock.recv(ANSWER_BYTES)
    length, kind, *_ = _HEADER.unpack_from(answer)
    return kind, answer[_HEADER.size : length]


def _open() -> socket.socket:
    try:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        return socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    except AttributeError as error:
        raise OSError("this system has no netlink") from error


def _opened(groups: int, otherwise: str) -> ChangeEvents | NoEvents:
    try:
        return ChangeEvents(groups)
    except OSError as error:
        log.info("%s: %s", otherwise, error)
        return NoEvents()
