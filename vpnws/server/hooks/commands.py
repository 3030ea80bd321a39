"""The queue of commands: a few run at once, those of one port one after the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.server import shell
from vpnws.server.hooks.facts import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.server.hooks.background import Background

    Run: TypeAlias = Callable[[str, Mapping[str, str], float], shell.Ended]

MAX_RUNNING: Final = 16
"""Commands that run at once; further ones wait. Those that decide about joins count apart."""
MAX_WAITING: Final = 1000
"""Commands that wait for their turn; a further one is not run, and counts as failed."""


@dataclass(frozen=True, slots=True)
class Command:
    """Commands of a setting, for one event."""

    hook: str
    """The setting's name."""
    commands: str
    facts: Mapping[str, str]
    key: str
    """Commands with the same key run in order; empty if the order does not matter."""


class Commands:
    """Runs commands in the background, within bounds."""

    def __init__(
        self,
        background: Background,
        timeout_s: float,
        run: Run = shell.run,
    ) -> None:
        """`run` is called in the background with commands, environment and time-out."""
        self._background = background
        self._timeout_s = timeout_s
        self._run = run
        self._waiting: deque[tuple[Command, Callable[[shell.Ended], None]]] = deque()
        self._keys: list[str] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._keys and not self._waiting

    @property
    def count(self) -> int:
        """How many run or wait."""
        return len(self._keys) + len(self._waiting)

    def submit(self, command: Command, done: Callable[[shell.Ended], None]) -> bool:
        """Run `command` when it is its turn, then call `done`; False if too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append((command, done))
        self._start()
        return True

    def _start(self) -> None:
        for entry in list(self._waiting) if len(self._keys) < MAX_RUNNING else ():
            command, done = entry
            if len(self._keys) >= MAX_RUNNING:
                return
            if not command.key or command.key not in self._keys:
                self._waiting.remove(entry)
                self._keys.append(command.key)
                self._background.run(
                    partial(self._do, command), partial(self._end, command.key, done)
                )

    def _do(self, command: Command) -> shell.Ended:
        try:
            return self._run(command.commands, environment(command.facts), self._timeout_s)
        except (OSError, ValueError) as error:
            return shell.Ended(127, killed_for=f"it could not be started: {error}")

    def _end(self, key: str, done: Callable[[shell.Ended], None], ended: shell.Ended) -> None:
        self._keys.remove(key)
        done(ended)
        self._start()
