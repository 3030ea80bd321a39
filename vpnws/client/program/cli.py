"""The program vpnws-client: one of its commands, or else to join a network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vpnws.client.program.commands import find

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit code.

    `arguments` are those after the program's name, sys.argv's by default.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if (command := find(given)) is not None:
        return command.run(given[1:])
    # What a station is made of takes as long to load as all that a command needs.
    from vpnws.client.program.joining import join

    return join(given)
