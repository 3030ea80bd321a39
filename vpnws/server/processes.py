"""What the kernel says of the server's processes, and how one of them is killed."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_GONE = ("Z", "X", "x")
_PPID, _UTIME, _STIME = 1, 11, 12
"""Places in /proc/PID/stat after the name, the first one being the state's (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class Status:
    """A living process: its state, as one letter, and the CPU time that it has used."""

    state: str
    cpu_ticks: int


class Processes(Protocol):
    """The processes that the master has started, so that a test can pass in its own."""

    def are_hidden(self) -> bool:
        """Return whether the machine does not show them to this process."""

    def status(self, pid: int) -> Status | None:
        """Return how process `pid` is; None if it is gone, or is not one of the master's."""

    def kill(self, pid: int) -> None:
        """Kill process `pid` if it is still one of the master's. Raises OSError."""


class Siblings:
    """A `Processes`: those that have the same parent as this process, the master."""

    def are_hidden(self) -> bool:
        """Look for the master."""
        return not Path(f"/proc/{os.getppid()}").exists()

    def status(self, pid: int) -> Status | None:
        """Read /proc."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name, in parentheses, may contain anything.
        state, *numbers = text.rpartition(")")[2].split()
        fields = [0, *map(int, numbers)]
        if state in _GONE or fields[_PPID] != os.getppid():
            return None
        return Status(state, fields[_UTIME] + fields[_STIME])

    def kill(self, pid: int) -> None:
        """Kill it by a descriptor, so that no other process can have come by its number."""
        fd = os.pidfd_open(pid)
        try:
            if self.status(pid) is not None:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
