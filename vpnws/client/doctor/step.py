"""A step of the doctor's walk, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class State(Enum):
    """What came of a step."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong, but there is something to know."""
    FAILED = "FAILED"
    SKIPPED = "-"
    """It does not apply here."""


class NoteError(Exception):
    """Ends a step that has not failed; the text says what there is to know."""


class SkippedError(Exception):
    """Ends a step that does not apply; the text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `take` returns a sentence, or raises NoteError, SkippedError or VpnwsError."""

    name: str
    take: Callable[[], str]
    is_vital: bool = True
    """Whether nothing behind it can succeed if it fails."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step."""

    name: str
    state: State
    duration_s: float
    says: str
    error: VpnwsError | None = None


def walk(steps: Iterable[Step], now: Callable[[], float]) -> Iterator[Result]:
    """Take the steps in order; after a vital one that failed only those that are not vital."""
    is_over = False
    for step in steps:
        if not (is_over and step.is_vital):
            result = _take(step, now)
            is_over = is_over or (step.is_vital and result.state is State.FAILED)
            yield result


def _take(step: Step, now: Callable[[], float]) -> Result:
    began_s = now()
    state, says, error = _outcome(step)
    return Result(step.name, state, now() - began_s, says, error)


def _outcome(step: Step) -> tuple[State, str, VpnwsError | None]:
    try:
        return State.OK, step.take(), None
    except NoteError as note:
        return State.NOTE, str(note), None
    except SkippedError as why:
        return State.SKIPPED, str(why), None
    except VpnwsError as error:
        return State.FAILED, str(error), error
