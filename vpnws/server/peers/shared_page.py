"""Memory that all processes of the server share: each one's epoch, ports, heartbeats and counts."""

from __future__ import annotations

import mmap
import os
import struct
from typing import Final

SECRET_BYTES: Final = 16
_EPOCH: Final = struct.Struct("@Q")
_COUNT: Final = struct.Struct("@Q")
_PULSE: Final = struct.Struct("@QQ")
_LIVES: Final = struct.Struct("@QQQ")
"""Of one slot: processes that began there, those that were killed, and of how many of these the
process after them has told."""
MAX_DEPARTURES: Final = 1024
"""Stations that have left one process and are remembered, so that each process knows those who come
back; a further one puts the oldest out, and counts as new when it comes."""
DEPARTURE: Final = struct.Struct("@8sd")
"""A station's digest, and when it left."""


class SharedPage:
    """Numbers in anonymous shared memory, made before the fork.

    Each process writes only at its own slot, so there is no lock and no lost update; an aligned
    8-byte store is seen whole or not at all.
    """

    def __init__(self, slots: int, secret: bytes | None = None, *, apart: int = 0) -> None:
        """Make room for `slots` processes with a switch, and after them for `apart` without.

        `secret` is that of the server before.
        """
        self.secret = secret or os.urandom(SECRET_BYTES)
        """Known to all processes of the server and to nobody else."""
        self.slots = slots
        """How many processes with a switch there can be."""
        self._epochs_bytes = slots * _EPOCH.size
        self._pulses_at = self._epochs_bytes + slots * _COUNT.size
        self._lives_at = self._pulses_at + (slots + apart) * _PULSE.size
        self._rules_at = self._lives_at + (slots + apart) * _LIVES.size
        departures_at = self._rules_at + self._epochs_bytes
        self._departures_bytes = MAX_DEPARTURES * DEPARTURE.size
        self._memory = memoryview(mmap.mmap(-1, departures_at + slots * self._departures_bytes))
        self._epochs = self._memory[: self._epochs_bytes]
        self.departures = self._memory[departures_at:]
        """MAX_DEPARTURES of each slot, one after the other (see `departures`)."""

    def epochs(self) -> bytes:
        """Return all epochs; two results are equal if no process moved its epoch in between."""
        return self._epochs.tobytes()

    def bump_epoch(self, slot: int) -> None:
        """Move the epoch of `slot`, the caller's own."""
        self._count_on(slot * _EPOCH.size)

    def rule_epochs(self) -> bytes:
        """Return what changes whenever a process has changed the operator's rules."""
        return self._memory[self._rules_at : self._rules_at + self._epochs_bytes].tobytes()

    def bump_rules(self, slot: int) -> None:
        """Say that the process at `slot`, the caller's own, has changed the operator's rules."""
        self._count_on(self._rules_at + slot * _EPOCH.size)

    def set_ports(self, slot: int, count: int) -> None:
        """Set how many ports the process at `slot`, the caller's own, has."""
        _COUNT.pack_into(self._memory, self._epochs_bytes + slot * _COUNT.size, count)

    def ports(self) -> int:
        """Return how many ports all processes have together."""
        counts = self._memory[self._epochs_bytes : self._pulses_at].cast("Q")
        return sum(counts)

    def join(self, slot: int, pid: int) -> None:
        """Begin to beat at `slot`, as the process `pid`; 0 is to end it, and be watched no more."""
        self._beat(slot, pid, 0)
        if pid:
            self._count_life(slot, 0)

    def note_kill(self, slot: int) -> None:
        """Note that the process at `slot` is killed; only the watchdog does, which kills it."""
        self._count_life(slot, 1)

    def lives(self, slot: int) -> tuple[int, int]:
        """Return how many processes have begun at `slot`, and how many of them were killed."""
        starts, kills, _ = _LIVES.unpack_from(self._memory, self._lives_at + slot * _LIVES.size)
        return starts, kills

    def take_kills(self, slot: int) -> int:
        """Return how many processes at `slot`, the caller's own, were killed since the last call.

        The watchdog, which kills them, has no part in control: who comes next tells of it there.
        """
        at = self._lives_at + slot * _LIVES.size
        _, kills, told = _LIVES.unpack_from(self._memory, at)
        _COUNT.pack_into(self._memory, at + 2 * _COUNT.size, kills)
        return int(kills - told)

    def _count_life(self, slot: int, index: int) -> None:
        self._count_on(self._lives_at + slot * _LIVES.size + index * _COUNT.size)

    def _count_on(self, at: int) -> None:
        (count,) = _COUNT.unpack_from(self._memory, at)
        _COUNT.pack_into(self._memory, at, count + 1)

    def beat(self, slot: int) -> None:
        """Show that the process at `slot`, the caller's own, is alive."""
        pid, beats = _PULSE.unpack_from(self._memory, self._pulses_at + slot * _PULSE.size)
        self._beat(slot, pid, beats + 1)

    def pulses(self) -> list[tuple[int, int]]:
        """Return for each slot the process's id, 0 for none, and how often it has beaten."""
        return list(_PULSE.iter_unpack(self._memory[self._pulses_at : self._lives_at]))

    def _beat(self, slot: int, pid: int, beats: int) -> None:
        _PULSE.pack_into(self._memory, self._pulses_at + slot * _PULSE.size, pid, beats)
