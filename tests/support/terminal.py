"""Runs a program at a terminal of its own, and presses keys when it shows what they answer."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

END_S = 10.0
_LOCAL_FLAGS = 3
"""Where termios.tcgetattr has the flag ECHO."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a program has left behind."""

    text: str
    """All that the terminal got, with commands to it."""
    code: int
    """The program's exit status."""
    has_echo: bool
    """Whether the terminal shows again what is typed."""


def run_at_terminal(
    program: Sequence[str],
    keys: Sequence[tuple[bytes, bytes]] = (),
    *,
    columns: int = 120,
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run a program to its end; `keys` are pressed in turn, each when a text is seen.

    It gets `environment` in the place of ours.
    """
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (30, columns))
    process = subprocess.Popen(
        # Ctrl-C is a signal only to those whose controlling terminal this is, and who heed it: a
        # shell's background jobs do not.
        ["setsid", "--ctty", "env", "--default-signal=INT", *program],
        stdin=far,
        stdout=far,
        stderr=far,
        env=None if environment is None else dict(environment),
    )
    seen = b""
    for text, key in keys:
        while text not in seen:
            seen += os.read(near, 65536)
        os.write(near, key)
    code = process.wait(END_S)
    has_echo = bool(termios.tcgetattr(far)[_LOCAL_FLAGS] & termios.ECHO)
    os.close(far)
    return Shown((seen + _rest(near)).decode().replace("\r\n", "\n"), code, has_echo)


def _rest(near: int) -> bytes:
    """Return what is left to read, and close the descriptor."""
    seen = b""
    try:
        while part := os.read(near, 65536):
            seen += part
    except OSError:
        # EIO: the other side is closed.
        pass
    os.close(near)
    return seen
