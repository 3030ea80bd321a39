"""The whole command line: that for joining a network, with those of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.program.commands import COMMANDS
from vpnws.client.program.parser import make_parser

if TYPE_CHECKING:
    from vpnws.commandline.parser import Parser


def make_whole_parser() -> Parser:
    """Return a parser that knows all commands, for completion and the manual page."""
    parser = make_parser()
    parser.also_commands = {command.name: command.parser() for command in COMMANDS}
    return parser
