"""A shell into which a page's commands are typed, and the form that their output must have."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from .service import Service
from .uwsgi import REPOSITORY
from .waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_S = 20.0
LEFT_OUT = "..."
VARYING = (
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    r"(?<=pid: )\d+",
    r"(?<=cores: )\d+",
    r"(?<=time=)[\d.]+",
    r"(?<=, time )\d+(?=ms)",
    r"(?<=worker )\d+(?=\] )",
    r"(?<=port )\d+\.\d+",
    r"\d+(?= (?:s:|frames|bytes|received|queued))",
)
"""What differs from run to run in the output shown; everything else must be exactly as shown."""
PINGED = "packets transmitted"


def form_of(line: str) -> re.Pattern[str]:
    """Return the pattern of a line of output; parts that vary from run to run match by form."""
    varying = re.compile("|".join(VARYING))
    if PINGED in line:
        # How many pings were answered is what the test checks.
        varying = re.compile(VARYING[4])
    pieces, at = [], 0
    for found in varying.finditer(line):
        form = VARYING[0] if ":" in found[0] else r"[\d.]+"
        pieces += [re.escape(line[at : found.start()]), form]
        at = found.end()
    return re.compile("".join([*pieces, re.escape(line[at:])]))


class Shell(Service):
    """A terminal into which a page's commands are typed: a shell, in a namespace if one is named.

    Programs that are left running in it are ended with it.
    """

    name = "bash"
    takes_input = True
    leaves_nothing = False

    def __init__(self, network_namespace: str | None) -> None:
        """`network_namespace` is a name: the page's commands may have made it."""
        super().__init__()
        self._network_namespace = network_namespace

    def command(self) -> list[str]:
        """Return the command line."""
        place = self._network_namespace
        return [*(("ip", "netns", "exec", place) if place else ()), "bash"]

    def working_directory(self) -> Path:
        """Return where the page's commands are typed."""
        return REPOSITORY

    def stop(self) -> int:
        """Type the end of the input, then end it."""
        if self.process.stdin:
            self.process.stdin.close()
        return super().stop()

    def type(self, line: str, expected: list[str]) -> None:
        """Run a line and wait for each line of `expected`; the rest of the output is free."""
        before = len(self.log_text())
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)
        self.expect(expected, before)

    def expect(self, expected: list[str], start: int = 0) -> None:
        """Wait for each line of `expected` after the first `start` characters of all output."""
        for wanted in expected:
            if wanted.strip() not in ("", LEFT_OUT):
                wait_for(partial(self._shows, form_of(wanted), start), ANSWER_S, wanted)

    def _shows(self, form: re.Pattern[str], start: int) -> bool:
        return form.search(self.log_text()[start:]) is not None
