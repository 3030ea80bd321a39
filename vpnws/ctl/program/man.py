"""The command `man`: prints the manual page, which is made of the same texts as the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws import __version__
from vpnws.commandline.manual import manual
from vpnws.ctl.commands.command import Call, Command
from vpnws.ctl.exits import Exit
from vpnws.ctl.show.output import PROGRAM

if TYPE_CHECKING:
    from vpnws.commandline.parser import Parser

SUMMARY: Final = "see a vpnws server and steer it"
_SEE_ALSO: Final = ("vpnws-client(1)", "tcpdump(8)")


def page(parser: Parser) -> str:
    """Return the manual page of the program whose parser is `parser`."""
    return manual(parser, SUMMARY, __version__, _SEE_ALSO)


def man(call: Call) -> Exit:
    """Print the manual page."""
    call.output.out.write(page(call.options.parser))
    return Exit.DONE


MAN: Final = Command(
    "man",
    "print the manual page (roff)",
    man,
    examples=f"""\
  {PROGRAM} man | man -l -
      read it
  {PROGRAM} man > /usr/local/share/man/man1/{PROGRAM}.1
      install it
""",
    asks=False,
)
