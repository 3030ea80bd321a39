"""What the kernel knows of a TCP connection: round-trip time and bytes (tcp_info of tcp(7))."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final

_INFO: Final = struct.Struct("@68xI48xQQ")
"""tcpi_rtt in microseconds, tcpi_bytes_acked and tcpi_bytes_received of Linux's struct tcp_info."""


@dataclass(frozen=True, slots=True)
class TcpView:
    """A TCP connection at some moment."""

    rtt_s: float
    """The smoothed round-trip time (RFC 6298) to TCP's other end: the web server or a proxy."""
    sent_bytes: int
    """Bytes that the other end has acknowledged."""
    received_bytes: int


def look(fd: int) -> TcpView | None:
    """Return how the connection of the socket `fd` is; None where the kernel does not tell."""
    if sys.platform != "linux":
        return None
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        rtt_us, sent, received = _INFO.unpack(info)
    except (OSError, struct.error):
        return None
    return TcpView(rtt_us / 1e6, sent, received)
