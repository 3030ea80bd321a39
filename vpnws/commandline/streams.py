"""Ends a program's output when nobody takes it any more."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

UNPRINTED: Final = 1
"""The exit code of a program whose output could not be written."""


def printed(program: str, run: Callable[[], int]) -> int:
    """Run `run`, which prints; return its exit code once all is written.

    Whoever read the pipe (head, less) may have had enough: that is 0. Output that cannot be written
    otherwise is said in the name of `program`, and is UNPRINTED.
    """
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return 0
    except OSError as error:
        _abandon(sys.stdout)
        sys.stderr.write(f"{program}: cannot print: {error.strerror or error}\n")
        return UNPRINTED
    return code


def _abandon(stream: TextIO) -> None:
    """Have what is still to be written go nowhere, so that Python does not try it at the end."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
