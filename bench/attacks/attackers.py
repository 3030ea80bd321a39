"""Attackers: one process with the lowest priority plays one or several of them."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bench.attacks.stations import ATTACKER, STRANGER, TIMEOUT_S, join, mac

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection
    from pathlib import Path

    from bench.attacks.kinds import Attack

NICE: Final = 19
_READ_BYTES: Final = 262144
_SLOW: Final = 1 << 20
"""Where the numbers of slow readers begin."""
_JOINING: Final = 1 << 21


class _Attacker:
    """One station that sends the same bytes again and again, and reads."""

    def __init__(self, path: Path, attack: Attack, number: int) -> None:
        rights = {"VPNWS_BRIDGE": "on"} if attack.bridges else {}
        self.station = join(path, mac(ATTACKER, number), attack.subprotocol, rights)
        self._every_s = attack.every_s
        self._due_s = 0.0
        self._data = memoryview(attack.repeated(number))
        self._rest = memoryview(attack.first(number))
        self._buffer = bytearray(_READ_BYTES)

    def finish(self) -> None:
        """Send what was begun, waiting for the server where it is slow."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while self._rest and time.monotonic() < deadline_s:
            self._write()
            self.read()
            time.sleep(0.001)

    def write(self, now: float) -> None:
        """Send as much as the server takes."""
        if not self._rest:
            if now < self._due_s:
                return
            self._rest, self._due_s = self._data, now + self._every_s
        self._write()

    def read(self) -> None:
        """Throw away what has come."""
        with suppress(BlockingIOError):
            self.station.recv_into(self._buffer)

    def _write(self) -> None:
        with suppress(BlockingIOError):
            self._rest = self._rest[self.station.send(self._rest) :]

    def is_waiting(self, now: float) -> bool:
        """Return whether nothing is to be sent now."""
        return not self._rest and (not self._data or now < self._due_s)


def attack(path: Path, plan: Attack, count: int, parent: Connection) -> None:
    """Join, tell the parent, attack for the seconds that it says, and stay until it is done."""
    os.nice(NICE)
    attackers = [_Attacker(path, plan, number) for number in range(count)]
    slow = [join(path, mac(STRANGER, _SLOW + each)) for each in range(plan.slow_readers)]
    for attacker in attackers:
        attacker.finish()
    parent.send(len(slow))
    attack_s: float = parent.recv()
    until_s = time.monotonic() + attack_s
    if plan.joins_per_s:
        _join_and_leave(path, plan.joins_per_s * count, until_s)
    else:
        _send(attackers, until_s)
    parent.send(time.monotonic())
    while not parent.poll(0.05):
        for attacker in attackers:
            attacker.read()
    for station in slow:
        station.close()


def _send(attackers: list[_Attacker], until_s: float) -> None:
    poll = select.poll()
    by_fd = {attacker.station.fileno(): attacker for attacker in attackers}
    for fd in by_fd:
        poll.register(fd, select.POLLIN | select.POLLOUT)
    while (now := time.monotonic()) < until_s:
        for fd, events in poll.poll(100):
            attacker = by_fd[fd]
            if events & select.POLLIN:
                attacker.read()
            if events & select.POLLOUT:
                attacker.write(now)
        if all(attacker.is_waiting(now) for attacker in attackers):
            time.sleep(0.01)


def _join_and_leave(path: Path, per_s: int, until_s: float) -> None:
    began_s = time.monotonic()
    number = 0
    while (now := time.monotonic()) < until_s:
        if number > (now - began_s) * per_s:
            time.sleep(0.001)
            continue
        number += 1
        station: socket.socket = join(path, mac(STRANGER, _JOINING + number % 1000))
        station.close()
