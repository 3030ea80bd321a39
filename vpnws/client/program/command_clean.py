"""The command `vpnws-client clean`: undoes what clients that were killed have left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vpnws.client.janitor.journal import DIRECTORY
from vpnws.client.janitor.left import undo_left, undo_left_of_gone
from vpnws.client.janitor.machine import Machine
from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.exits import Exit
from vpnws.client.service.places import SYSTEM, remove_stale
from vpnws.commandline.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser() -> Parser:
    """Return the parser of this command."""
    return Parser(
        prog=f"{PROGRAM} clean",
        description="Undo what clients that were killed together with their janitors have left on"
        " this machine: routes, addresses, name servers. What a running client keeps is left"
        " alone, and so is what somebody has changed since. Needs root.",
    )


def main(arguments: Sequence[str]) -> int:
    """Undo what was left, and print a line about each device; return the exit code."""
    make_parser().parse_args(arguments)
    if os.geteuid() != 0:
        print(f"{PROGRAM}: only root can undo what clients have left: sudo {PROGRAM} clean")
        return Exit.TAP_PERMISSION
    try:
        lines = undo_left(Machine(), DIRECTORY) + undo_left_of_gone(Machine(), DIRECTORY)
        remove_stale(SYSTEM)
    except OSError as error:
        print(f"{PROGRAM}: cannot undo what clients have left: {error}")
        return Exit.JANITOR
    for line in lines or ["nothing was left"]:
        print(f"{PROGRAM}: {line}")
    return Exit.STOPPED
