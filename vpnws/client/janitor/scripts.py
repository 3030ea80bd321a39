"""Runs the commands of --exec and --exec-down, one after the other, each for a bounded time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SCRIPT_S: Final = 20.0
"""A command of --exec or --exec-down that takes longer is killed, with all that it has started."""
MAX_WAITING: Final = 8
"""Calls that wait for a command to end; the oldest is left out for a new one."""
KILLED: Final = "the client was killed"
"""VPNWS_REASON of a station whose client could not say why it ended."""


class Scripts:
    """The two commands, and the calls of them that wait."""

    def __init__(
        self,
        up: Sequence[str],
        down: Sequence[str],
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        """The commands are lists of words, empty for none; no shell sees them.

        `clock` returns monotonic seconds; `say` gets a sentence about each that failed.
        """
        self._commands = {True: tuple(up), False: tuple(down)}
        self._clock = clock
        self._say = say
        self._waiting: deque[tuple[bool, Mapping[str, str]]] = deque()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_up = True
        self._until_s = 0.0
        self._last: tuple[bool, Mapping[str, str]] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a command runs: then `step` must be called now and then."""
        return self._running is not None

    def call(self, variables: Mapping[str, str], *, is_up: bool) -> None:
        """Run the command of --exec if `is_up`, else that of --exec-down, when its turn comes."""
        self._last = (is_up, variables)
        if not self._commands[is_up]:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._say(f"{self._option} takes long, so a call of a command was left out")
        self._waiting.append((is_up, variables))
        self.step()

    def step(self) -> None:
        """Look whether the command has ended or its time is up, and start the next one."""
        if self._running is not None and not self._has_ended(self._running):
            return
        self._running = None
        if self._waiting:
            self._start(*self._waiting.popleft())

    def finish(self) -> None:
        """Run what waits, to its end; and --exec-down if nobody has called it for the station."""
        if self._last is not None and self._last[0]:
            self.call({**self._last[1], "VPNWS_REASON": KILLED}, is_up=False)
        while self._running is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running.wait(max(0.0, self._until_s - self._clock()))
            self.step()

    @property
    def _option(self) -> str:
        return "--exec" if self._is_up else "--exec-down"

    def _start(self, is_up: bool, variables: Mapping[str, str]) -> None:
        self._is_up = is_up
        words = self._commands[is_up]
        try:
            self._running = subprocess.Popen(
                words,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                # What it prints goes where the client's own lines go.
                stdout=2,
                start_new_session=True,
            )
        except OSError as error:
            self._say(f"the command of {self._option} cannot run: {words[0]}: {error.strerror}")
            self.step()
            return
        self._until_s = self._clock() + SCRIPT_S

    def _has_ended(self, running: subprocess.Popen[bytes]) -> bool:
        """Return whether a command has ended; kill it when its time is up."""
        if running.poll() is None:
            if self._clock() < self._until_s:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            self._say(f"the command of {self._option} was killed: not done in {SCRIPT_S:.0f} s")
        elif running.returncode:
            code = running.returncode
            cause = f"status {code}" if code > 0 else f"killed by signal {-code}"
            self._say(f"the command of {self._option} failed: {cause}")
        return True
