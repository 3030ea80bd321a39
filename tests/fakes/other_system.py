"""Runs the client's program as on a system that is not Linux: without all that only Linux has.

It is a program of its own: `python -m tests.fakes.other_system [options] TAP URL`. What it takes
away is taken before anything of vpnws is imported; kqueue is a stand-in.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time

from tests.fakes.kqueue import FakeKevent, FakeKqueue

_PREFIXES = {
    select: ("EPOLL", "epoll"),
    socket: (
        *("AF_NETLINK", "NETLINK_", "AF_PACKET", "PACKET_", "AF_ALG", "ALG_", "AF_VSOCK"),
        *(
            "SOCK_NONBLOCK",
            "SOCK_CLOEXEC",
            "SO_MARK",
            "SO_BINDTODEVICE",
            "SO_PEERCRED",
            "SO_PRIORITY",
            "SO_DOMAIN",
        ),
        *("TCP_USER_TIMEOUT", "TCP_NOTSENT_LOWAT", "TCP_QUICKACK", "TCP_CORK", "TCP_INFO"),
    ),
    errno: ("EBADFD", "ENONET", "ECOMM", "EREMOTEIO", "ENOMEDIUM"),
    os: ("eventfd", "EFD_", "memfd_create", "pidfd_open", "setns", "unshare", "sched_"),
    signal: ("pidfd_send_signal",),
    time: ("CLOCK_BOOTTIME",),
}
"""Names that only Linux has, or not every BSD, by their beginnings."""


def become_another_system() -> None:
    """Take away what only Linux has, and put kqueue there."""
    for module, prefixes in _PREFIXES.items():
        for name in [name for name in dir(module) if name.startswith(prefixes)]:
            delattr(module, name)
    for name, value in {"kqueue": FakeKqueue, "kevent": FakeKevent}.items():
        setattr(select, name, value)
    sys.platform = "freebsd14"


def main() -> int:
    """Run the client there; return its exit code."""
    become_another_system()
    from vpnws.client.program import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
