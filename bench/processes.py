"""CPU time of other processes, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_UTIME: Final = 11
_STIME: Final = 12
"""Places in /proc/PID/stat after the command's name (proc(5) has them as 14 and 15)."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU time used so far: all of it in ns, and user's and kernel's part in clock ticks."""

    total_ns: int
    user_ticks: int
    system_ticks: int

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(
            self.total_ns - earlier.total_ns,
            self.user_ticks - earlier.user_ticks,
            self.system_ticks - earlier.system_ticks,
        )


def cpu_time(pid: int) -> CpuTime:
    """Return what all threads of `pid` have used; exact while it sleeps."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    total_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return CpuTime(total_ns, int(fields[_UTIME]), int(fields[_STIME]))


def pin_apart(pids: Iterable[int]) -> None:
    """Pin `pids` to the last processor and this process to the others, if there are two or more."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        return
    for pid in pids:
        os.sched_setaffinity(pid, processors[-1:])
    os.sched_setaffinity(0, processors[:-1])
