"""The command `man`: prints the manual page, which is made of the same texts as the help."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from vpnws import __version__
from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.exits import Exit
from vpnws.commandline.manual import manual
from vpnws.commandline.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY: Final = "join this machine to a vpnws switch"
_SEE_ALSO: Final = ("vpnws-ctl(1)", "ip(8)", "systemctl(1)")
_EXAMPLES: Final = f"""\
examples:
  {PROGRAM} man | man -l -
      read it
  {PROGRAM} man > /usr/local/share/man/man1/{PROGRAM}.1
      install it
"""


def make_parser() -> Parser:
    """Return the parser of this command."""
    return Parser(
        prog=f"{PROGRAM} man",
        description="Print the manual page, for man and for /usr/local/share/man/man1.",
        epilog=_EXAMPLES,
    )


def page() -> str:
    """Return the manual page."""
    # It has the texts of all commands, of this one among them.
    from vpnws.client.program.whole import make_whole_parser

    return manual(make_whole_parser(), SUMMARY, __version__, _SEE_ALSO)


def main(arguments: Sequence[str]) -> int:
    """Print the manual page; return the exit code."""
    make_parser().parse_args(arguments)
    sys.stdout.write(page())
    return Exit.STOPPED
