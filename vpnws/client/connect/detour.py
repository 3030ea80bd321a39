"""Finds out whether the way to the server leads into the VPN itself."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def detour(family: socket.AddressFamily, address: tuple[object, ...], own: Sequence[str]) -> str:
    """Return which of `own`, each with a prefix length, the kernel would use to reach `address`.

    Empty if it would use none of them. To connect a UDP socket sends nothing: it only has the
    kernel choose a route and the address to send from.
    """
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            source = ipaddress.ip_address(sock.getsockname()[0])
    except OSError:
        # Outside of the VPN there is no way there, and the janitor does not let it lead inside.
        return _covering(str(address[0]), own)
    return next((text for text in own if ipaddress.ip_interface(text).ip == source), "")


def _covering(address: str, own: Sequence[str]) -> str:
    """Return which of `own` has `address` in its network; empty if none has."""
    ip = ipaddress.ip_address(address)
    return next((text for text in own if ip in ipaddress.ip_interface(text).network), "")
