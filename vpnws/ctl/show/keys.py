"""Single keys from a terminal, without Enter; the terminal is put back afterwards."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_BYTES: Final = 32
"""Further keys of one read are dropped: somebody leans on the keyboard."""


@contextmanager
def single_keys() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits so many seconds at most for keys, and returns them."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield lambda timeout_s: _read(fd, timeout_s)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _read(fd: int, timeout_s: float) -> str:
    ready, _, _ = select.select([fd], [], [], timeout_s)
    return os.read(fd, READ_BYTES).decode(errors="replace") if ready else ""
