"""Tells network namespaces apart, those that are gone too."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

_SO_NETNS_COOKIE: Final = 71
_COOKIE_BYTES: Final = 8
_OWN: Final = Path("/proc/self/ns/net")
_FIRST: Final = Path("/proc/1/ns/net")
_PLACES: Final = ("proc/[0-9]*/ns/net", "run/netns/*")
"""Where the namespaces can be seen that processes are in, and those that have a name."""


def own_network() -> str:
    """Return a name for our network namespace: its number, and its cookie.

    Another one may get the number when it is gone, and never the cookie (Linux 5.14; 0 before).
    """
    try:
        number = _OWN.stat().st_ino
    except OSError:
        return "0-0"
    return f"{number}-{_cookie()}"


def mark_of_network() -> str:
    """Return what tells our network namespace from the machine's first one; empty if it is that."""
    try:
        own = _OWN.stat().st_ino
        return "" if own == _FIRST.stat().st_ino else f"-{own}"
    except OSError:
        return ""


def is_gone(network: str) -> bool:
    """Return whether no process can be in the namespace that `own_network` has named there."""
    number, own = network.partition("-")[0], own_network()
    if number == own.partition("-")[0]:
        return network != own
    return number not in _living()


def _cookie() -> int:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        found = sock.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_BYTES)
        return int.from_bytes(found, "little")
    return 0


def _living() -> set[str]:
    """Return the numbers of the namespaces that can be seen."""
    found = set()
    for pattern in _PLACES:
        for path in Path("/").glob(pattern):
            with suppress(OSError):
                found.add(str(path.stat().st_ino))
    return found
