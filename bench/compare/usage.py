"""What a contestant used: CPU time by process, the machine's busy time, memory by process."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.processes import cpu_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IDLE: Final = (3, 4)
"""Columns idle and iowait of the line `cpu` in /proc/stat, proc(5)."""
_COUNTED: Final = 8
"""Columns user to steal; guest time is in user already."""
_STEAL: Final = 7
_OUR_OWN: Final = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds used so far: by each process name, by our programs, by the whole machine."""

    by_process_s: dict[str, float]
    programs_s: float
    """What makes the traffic (iperf3, ping, ...), once it has ended, and this process."""
    machine_s: float

    def __sub__(self, earlier: Usage) -> Usage:
        spent = {
            name: used - earlier.by_process_s[name] for name, used in self.by_process_s.items()
        }
        programs_s = self.programs_s - earlier.programs_s
        return Usage(spent, programs_s, self.machine_s - earlier.machine_s)

    @property
    def total_s(self) -> float:
        """What all processes used."""
        return sum(self.by_process_s.values())

    @property
    def others_s(self) -> float:
        """What else the machine did: other work, and a little of the kernel's own."""
        return max(0.0, self.machine_s - self.total_s - self.programs_s)


def usage(pids: Mapping[str, Sequence[int]]) -> Usage:
    """Return what processes have used, by name, with all their threads."""
    by_process_s = {
        name: sum(cpu_time(pid).total_ns for pid in group) / 1e9 for name, group in pids.items()
    }
    programs_s = sum(sum(resource.getrusage(who)[:2]) for who in _OUR_OWN)
    return Usage(by_process_s, programs_s, busy_s(Path("/proc/stat").read_text()))


def busy_s(text: str) -> float:
    """Return the seconds in which processors did anything, from /proc/stat."""
    columns = [int(word) for word in text.splitlines()[0].split()[1 : 1 + _COUNTED]]
    busy = sum(columns) - sum(columns[column] for column in (*_IDLE, _STEAL))
    return busy / os.sysconf("SC_CLK_TCK")


def memory_mb(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return each name's proportional set size in MB: shared pages are divided by their users."""
    return {name: sum(map(_pss_kb, group)) / 1000 for name, group in pids.items()}


def _pss_kb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1.024
    return 0.0
