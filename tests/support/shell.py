"""A shell that a page's commands are typed into, and the form that their output must have."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .uwsgi import REPOSITORY
from .waiting import wait_for

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO, Self

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
"""What differs from run to run in the output shown; all else must be as it stands there."""
PINGED = "packets transmitted"


def form_of(line: str) -> re.Pattern[str]:
    """Return the pattern of a line of output: what varies may, within its form."""
    varying = re.compile("|".join(VARYING))
    if PINGED in line:
        # That all came back is the point.
        varying = re.compile(VARYING[4])
    pieces, at = [], 0
    for found in varying.finditer(line):
        form = VARYING[0] if ":" in found[0] else r"[\d.]+"
        pieces += [re.escape(line[at : found.start()]), form]
        at = found.end()
    return re.compile("".join([*pieces, re.escape(line[at:])]))


class Shell:
    """A terminal that a page's commands are typed into: a shell, in a namespace if one is named."""

    def __init__(self, namespace: str | None, transcript: IO[str]) -> None:
        self._transcript = Path(transcript.name)
        self._process = processes.start(
            [*(("ip", "netns", "exec", namespace) if namespace else ()), "bash"],
            stdin=subprocess.PIPE,
            stdout=transcript,
            stderr=transcript,
            cwd=REPOSITORY,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- {self._transcript}:\n{self._transcript.read_text()}")
        if self._process.stdin:
            self._process.stdin.close()
        processes.stop(self._process)

    def type(self, line: str, expected: list[str]) -> None:
        """Run a line and wait for each line of `expected`; the rest of the output is free."""
        before = len(self._transcript.read_text())
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)
        self.expect(expected, before)

    def expect(self, expected: list[str], start: int = 0) -> None:
        """Wait for each line of `expected` after the first `start` characters of all output."""
        for wanted in expected:
            if wanted.strip() not in ("", LEFT_OUT):
                wait_for(partial(self._shows, form_of(wanted), start), ANSWER_S, wanted)

    def _shows(self, form: re.Pattern[str], start: int) -> bool:
        return form.search(self._transcript.read_text()[start:]) is not None
