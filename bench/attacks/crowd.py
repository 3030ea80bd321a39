"""Idle stations: one process holds them all, and throws away what comes."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from bench.attacks.stations import IDLE, join, mac
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection
    from pathlib import Path

NICE: Final = 10
PAUSE_S: Final = 0.005
"""Between two looks at all stations: one read takes what has come meanwhile, so it costs little."""
READ_BYTES: Final = 262144


def hold(path: Path, count: int, parent: Connection) -> None:
    """Join `count` stations, tell the parent, and read until it closes the connection.

    Every second one speaks `vpnws.offload.1`.
    """
    os.nice(NICE)
    poll = select.epoll()
    stations: dict[int, socket.socket] = {}
    for number in range(count):
        station = join(path, mac(IDLE, number), SUBPROTOCOL if number % 2 else "")
        stations[station.fileno()] = station
        poll.register(station, select.EPOLLIN)
    parent.send(count)
    poll.register(parent, select.EPOLLIN)
    buffer = bytearray(READ_BYTES)
    while True:
        for fd, _events in poll.poll(1.0, maxevents=count + 1):
            if fd == parent.fileno():
                return
            drain(stations[fd], buffer)
        time.sleep(PAUSE_S)


def drain(station: socket.socket, buffer: bytearray) -> None:
    """Read once. Raises EOFError if the server has closed the connection."""
    try:
        if not station.recv_into(buffer):
            raise EOFError("the server has closed an idle station")
    except BlockingIOError:
        pass
