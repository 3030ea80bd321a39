"""Judges which process of the server hangs, by its heartbeats and by what the kernel says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOOK_EVERY_S: Final = 1.0
"""The watchdog looks at all heartbeats this often; a process beats with its tick, as often."""
MIN_HANG_AFTER_S: Final = 3
"""A server with a shorter `vpnws-hang-after` does not start, unless it is 0 (never)."""
BUSY_FACTOR: Final = 6
"""A process that computes is left this many times as long as one that does nothing: to kill one
that has too much to do would give the others more."""
MARGIN_S: Final = 3.0
"""A process that waits for another one's lock may seem to hang this much longer than that one."""
RUNNING: Final = "R"
UNABLE_TO_RUN: Final = ("T", "D")
"""Stopped by a signal, or in the kernel until a device answers (proc_pid_stat(5))."""
DEBUGGED: Final = "t"


@dataclass(frozen=True, slots=True)
class Sight:
    """A process as it was seen: its heartbeats so far, its state, the CPU time it has used."""

    pid: int
    beats: int
    state: str
    cpu_ticks: int


@dataclass(slots=True)
class _Life:
    sight: Sight
    beat_s: float
    """When it was last seen to have beaten."""
    worked_s: float
    """When it was last seen to have beaten or to have computed."""


class HangJudge:
    """Names the process that must be killed, one at a time, by what is seen of all of them."""

    def __init__(self, hang_after_s: float, now: float) -> None:
        """A process hangs that has done nothing for `hang_after_s`."""
        self._hang_after_s = hang_after_s
        self._looked_s = now
        self._lives: dict[int, _Life] = {}

    def find(self, sights: Mapping[int, Sight], now: float) -> int | None:
        """Return the slot of a process that hangs; `sights` has, by slot, those that there are.

        After that all are judged anew, because others may only have waited for a lock of the one
        named. So they are after a late look, when perhaps the whole machine stood still, and while
        a debugger holds one of them.
        """
        was_late = now - self._looked_s > 2 * LOOK_EVERY_S
        self._looked_s = now
        if was_late or any(sight.state == DEBUGGED for sight in sights.values()):
            self._lives.clear()
        self._lives = {slot: self._live_on(slot, sight, now) for slot, sight in sights.items()}
        hung = self._choose(now)
        if hung is not None:
            self._lives.clear()
        return hung

    def _live_on(self, slot: int, sight: Sight, now: float) -> _Life:
        life = self._lives.get(slot)
        if life is None or (life.sight.pid, life.sight.beats) != (sight.pid, sight.beats):
            return _Life(sight, now, now)
        if sight.state == RUNNING or sight.cpu_ticks != life.sight.cpu_ticks:
            life.worked_s = now
        life.sight = sight
        return life

    def _choose(self, now: float) -> int | None:
        """Return the slot of the one that hangs, of several the one that may be the cause."""
        if not any(self._hangs(life, now) for life in self._lives.values()):
            return None
        causes = [
            slot
            for slot, life in self._lives.items()
            if life.sight.state in UNABLE_TO_RUN
            and now - life.worked_s > self._hang_after_s - MARGIN_S
        ]
        return self._oldest(
            causes or [slot for slot, life in self._lives.items() if self._hangs(life, now)]
        )

    def _hangs(self, life: _Life, now: float) -> bool:
        return (
            now - life.worked_s >= self._hang_after_s
            or now - life.beat_s >= BUSY_FACTOR * self._hang_after_s
        )

    def _oldest(self, slots: Iterable[int]) -> int:
        return min(slots, key=lambda slot: self._lives[slot].beat_s)
