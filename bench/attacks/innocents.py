"""Innocent stations: pairs that ping each other through the switch, before, in and after an attack.

A ping is a frame with its number and the time; the other station of the pair sends it back. One
process plays all of them.
"""

from __future__ import annotations

import os
import select
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.attacks.stations import INNOCENT, join, mac
from tests.support.raw_frames import BINARY, encode_frame

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

PAIRS: Final = 4
EVERY_S: Final = 0.01
CALM_S: Final = 1.0
"""The switch has recovered when every ping has come back within LATE_S for this long."""
LATE_S: Final = 0.05
MAX_RECOVERY_S: Final = 20.0
"""Pings that have not come back by then are lost."""
MAX_WAIT_S: Final = 120.0
"""An attack begins when the switch has recovered from the one before, or after this time."""
_CALM_COUNT: Final = round(CALM_S / EVERY_S) * PAIRS
NICE: Final = -10
"""Where root allows it: what is measured is the switch, and not how late this process wakes up."""
_PING: Final = struct.Struct("!12sHIxx38x")
_FRAME_BYTES: Final = _PING.size
_HEAD_BYTES: Final = 2
"""Of a server's message of less than 126 bytes."""
_ETHERTYPE: Final = 0x88B5
_READ_BYTES: Final = 262144


@dataclass
class Pings:
    """When each ping was sent and how long it took, by number; -1 while it is under way."""

    sent_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)


class Innocents:
    """The pairs, and all that they have sent."""

    def __init__(self, path: Path) -> None:
        """Join the stations."""
        self.poll = select.epoll()
        self.pings = Pings()
        self._first = 0
        """The number of the first of these pings."""
        self._ends: dict[int, _End] = {}
        self._pingers: list[_End] = []
        for number in range(2 * PAIRS):
            own, peer = mac(INNOCENT, number), mac(INNOCENT, number ^ 1)
            end = _End(join(path, own), peer + own, is_pinger=number % 2 == 0)
            self._ends[end.station.fileno()] = end
            self._pingers += [end] if end.is_pinger else []
            self.poll.register(end.station, select.EPOLLIN)

    def forget(self) -> None:
        """Begin a new list of pings."""
        self._first += len(self.pings.sent_s)
        self.pings = Pings()

    def ping(self) -> None:
        """Let each pair send one."""
        for end in self._pingers:
            end.send(self._first + len(self.pings.sent_s))
            self.pings.sent_s.append(time.monotonic())
            self.pings.took_s.append(-1.0)

    def serve_until(self, until_s: float) -> None:
        """Answer pings and note answers until then."""
        while (left_s := until_s - time.monotonic()) > 0:
            for fd, _events in self.poll.poll(left_s):
                end = self._ends.get(fd)
                if end is not None:
                    self._serve(end)

    def _serve(self, end: _End) -> None:
        for number in end.read():
            if not end.is_pinger:
                end.send(number)
            elif (index := number - self._first) >= 0:
                self.pings.took_s[index] = time.monotonic() - self.pings.sent_s[index]


@dataclass
class _End:
    station: socket.socket
    addresses: bytes
    """Of what it sends: destination and source."""
    is_pinger: bool
    _uncut: bytearray = field(default_factory=bytearray)

    def send(self, number: int) -> None:
        # A switch that does not read for seconds leaves no room: that ping is lost.
        with suppress(BlockingIOError):
            frame = _PING.pack(self.addresses, _ETHERTYPE, number)
            self.station.send(encode_frame(BINARY, frame, mask=None))

    def read(self) -> list[int]:
        """Return the numbers of the pings that have come from the peer."""
        with suppress(BlockingIOError):
            data = self.station.recv(_READ_BYTES)
            if not data:
                raise EOFError("the server has closed an innocent station")
            self._uncut += data
        awaited = self.addresses[6:] + self.addresses[:6]
        return [
            _PING.unpack(payload)[2]
            for payload in _messages(self._uncut)
            if payload[:12] == awaited and len(payload) == _FRAME_BYTES
        ]


def run(path: Path, parent: Connection) -> None:
    """Join, tell the parent, and measure from each "begin" to its "over"; send the pings back."""
    with suppress(PermissionError):
        os.nice(NICE)
    innocents = Innocents(path)
    parent.send("ready")
    while parent.recv() == "begin":
        innocents.forget()
        _ping_until_calm(innocents, MAX_WAIT_S)
        parent.send("calm")
        _ping(innocents, parent.poll, MAX_WAIT_S)
        parent.recv()
        _ping_until_calm(innocents, MAX_RECOVERY_S)
        parent.send(innocents.pings)


def _ping(innocents: Innocents, is_enough: Callable[[], bool], most_s: float) -> None:
    """Send pings and take the answers until it is enough, for `most_s` at most."""
    next_s = time.monotonic()
    stop_s = next_s + most_s
    while not is_enough() and next_s < stop_s:
        next_s = max(next_s + EVERY_S, time.monotonic())
        innocents.ping()
        innocents.serve_until(next_s)


def _ping_until_calm(innocents: Innocents, most_s: float) -> None:
    pings = innocents.pings
    min_count = len(pings.sent_s) + _CALM_COUNT
    _ping(innocents, lambda: len(pings.sent_s) >= min_count and _is_calm(pings), most_s)


def _is_calm(pings: Pings) -> bool:
    """Return whether all pings of the last second are back in time, and all others are back."""
    back = pings.took_s[:-PAIRS]
    return -1.0 not in back and max(back[-_CALM_COUNT:]) < LATE_S


def _messages(uncut: bytearray) -> list[bytes]:
    """Cut whole messages off the front of `uncut`."""
    at, messages = 0, []
    while len(uncut) - at >= _HEAD_BYTES:
        length, body = uncut[at + 1], at + _HEAD_BYTES
        if length == 126:
            length, body = int.from_bytes(uncut[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, body = int.from_bytes(uncut[at + 2 : at + 10], "big"), at + 10
        if len(uncut) < body + length:
            break
        messages.append(bytes(uncut[body : body + length]))
        at = body + length
    del uncut[:at]
    return messages
