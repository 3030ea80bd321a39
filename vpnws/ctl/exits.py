"""The exit codes of vpnws-ctl: what each one means, and which error leads to it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from vpnws.errors import (
    AmbiguousError,
    ConfigError,
    ConnectError,
    DeniedError,
    IncompleteError,
    NotFoundError,
    VpnwsError,
)


class Exit(IntEnum):
    """The exit codes; `MEANINGS` says each one in words."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    AMBIGUOUS = 5
    REFUSED = 6
    DEGRADED = 7


MEANINGS: Final = {
    Exit.DONE: "done, and the answer is complete",
    Exit.FAILED: "the server answered with an error, `doctor` found one, or the output could not be"
    " printed",
    Exit.USAGE: "a wrong command, option, URL or file",
    Exit.UNREACHABLE: "the server cannot be reached, or what answers is no vpnws with a control"
    " interface",
    Exit.NOT_FOUND: "there is no such port, user, MAC, address or entry",
    Exit.AMBIGUOUS: "what was named means several: the candidates are listed",
    Exit.REFUSED: "the server refused: wrong password, no right to do that, or not possible now",
    Exit.DEGRADED: "a process of the server did not answer in time: the answer is incomplete",
}

_BY_ERROR: Final[tuple[tuple[type[VpnwsError], Exit], ...]] = (
    (ConfigError, Exit.USAGE),
    (ConnectError, Exit.UNREACHABLE),
    (NotFoundError, Exit.NOT_FOUND),
    (AmbiguousError, Exit.AMBIGUOUS),
    (DeniedError, Exit.REFUSED),
    (IncompleteError, Exit.DEGRADED),
)


def exit_code(error: VpnwsError) -> Exit:
    """Return the exit code of a program that ends with `error`."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return Exit.FAILED
