"""Starts the janitor: forks it off the client while that still has its privileges."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Final, NoReturn

from vpnws.client.janitor.caller import Janitor
from vpnws.client.janitor.machine import Machine
from vpnws.client.janitor.messages import MAX_MESSAGE_BYTES
from vpnws.client.janitor.process import JanitorProcess, Powers

NAME: Final = b"vpnws-janitor"
"""What the process is called (PR_SET_NAME)."""
_PR_SET_NAME: Final = 15
_FIRST_FD: Final = 3
_LAST_FD: Final = 2**31 - 1
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
"""Signals that are the client's: the janitor ends when the client has ended, and not before."""
log = logging.getLogger(__name__)


def start(powers: Powers) -> Janitor:
    """Return a janitor that may do what `powers` say. Raises OSError.

    It is a fork and no new program: it must not depend on files that may change meanwhile. Call it
    while this process has one thread.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_MESSAGE_BYTES)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _run(far, powers)
    far.close()
    return Janitor(near, pid)


def _run(sock: socket.socket, powers: Powers) -> NoReturn:
    """Be the janitor."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        _let_go_of_everything_but(sock)
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_NAME, NAME, 0, 0, 0)
        sock.setblocking(False)
        JanitorProcess(sock, powers, Machine()).run()
        status = 0
    except BaseException:
        log.exception("the janitor failed: please report this")
    finally:
        os._exit(status)


def _let_go_of_everything_but(sock: socket.socket) -> None:
    """Close what the client has open: a TAP, for one, must go away with the client."""
    os.closerange(_FIRST_FD, sock.fileno())
    os.closerange(sock.fileno() + 1, _LAST_FD)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.chdir("/")
