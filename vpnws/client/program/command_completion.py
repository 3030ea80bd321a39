"""The command `completion`: prints the script for a shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.exits import Exit
from vpnws.commandline.completion import EXAMPLES, SHELLS, script
from vpnws.commandline.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser() -> Parser:
    """Return the parser of this command."""
    parser = Parser(
        prog=f"{PROGRAM} completion",
        description="Print a script that completes options, commands and devices in a shell.",
        epilog=f"examples:\n{EXAMPLES.format(program=PROGRAM)}",
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Print the script; return the exit code."""
    sys.stdout.write(script(PROGRAM, make_parser().parse_args(arguments).shell))
    return Exit.STOPPED
