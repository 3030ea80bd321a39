"""Runs programs of the system, such as iproute2's `ip`, each for a bounded time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, Final, Protocol

PROGRAM_S: Final = 5.0
"""A program of the system that takes longer is killed, and counts as failed."""
_SEARCH_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Ordinary users' PATH often lacks the directories where `ip` lives."""
_NOT_INSTALLED: Final = 127


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program has ended."""

    status: int = 0
    out: str = ""
    error: str = ""
    """What it said of its failure, as one line; empty if it succeeded."""

    @property
    def lacks_permission(self) -> bool:
        """Whether it failed for a lack of privileges."""
        return "not permitted" in self.error or "Permission denied" in self.error


class Runner(Protocol):
    """What runs programs: `Programs`, or a fake in tests."""

    def has(self, program: str) -> bool:
        """Return whether `program` is installed."""

    def run(self, *words: str, text: str = "") -> Outcome:
        """Run a program to its end, with `text` as its input; no shell sees the words."""


class Programs:
    """The Runner of this machine."""

    def has(self, program: str) -> bool:
        """Return whether `program` is installed."""
        return _find(program) is not None

    def run(self, *words: str, text: str = "") -> Outcome:
        """Run a program for at most PROGRAM_S; it raises nothing."""
        path = _find(words[0])
        if path is None:
            return Outcome(_NOT_INSTALLED, error=f"the program {words[0]!r} is not installed")
        try:
            done = subprocess.run(
                [path, *words[1:]],
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROGRAM_S,
                input=text,
                env={**os.environ, "LC_ALL": "C"},
                # Ctrl-C in the terminal must reach the client only.
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Outcome(_NOT_INSTALLED, error=str(error))
        if done.returncode == 0:
            return Outcome(out=done.stdout)
        said = " ".join(done.stderr.split())
        failure = said or f"{words[0]!r} failed with exit code {done.returncode}"
        return Outcome(done.returncode, done.stdout, failure)


def ask_ip(runner: Runner, *words: str) -> list[dict[str, Any]] | None:
    """Return what `ip -json` prints, None if it failed or is not there."""
    outcome = runner.run("ip", "-json", *words)
    if outcome.status:
        return None
    try:
        found = json.loads(outcome.out or "[]")
    except ValueError:
        return None
    # iproute2 prints an empty object for what it was not asked for.
    return [entry for entry in found if entry] if isinstance(found, list) else None


def show_device(runner: Runner, kind: str, device: str) -> dict[str, Any]:
    """Return what `ip` shows of a device, its "link" or "address"; empty if it shows nothing."""
    return (ask_ip(runner, kind, "show", "dev", device) or [{}])[0]


def _find(program: str) -> str | None:
    return shutil.which(program, path=_SEARCH_PATH)
