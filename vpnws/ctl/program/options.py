"""The command line of vpnws-ctl: its commands, its options and its help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vpnws import __version__
from vpnws.commandline.parser import Parser
from vpnws.ctl.commands.all import COMMANDS
from vpnws.ctl.exits import MEANINGS
from vpnws.ctl.program.completion import COMPLETION
from vpnws.ctl.program.man import MAN
from vpnws.ctl.reach.places import VARIABLE
from vpnws.ctl.show.output import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.ctl.commands.command import Command

ALL: Final = (*COMMANDS, COMPLETION, MAN)
"""Every command that the help lists."""
_DESCRIPTION: Final = """\
See a vpnws server and steer it: who is here, with which address, how much passes, what is
dropped and why; kick, ban, block, capture, trace. The server is the one on this machine, over
its own socket, or the one behind --url."""
_EPILOG: Final = """\
targets:
  Most commands take what you have at hand: a port's id (2.7), a user, a MAC or an IP address.
  If it means several things, they are listed, and nothing is changed. A prefix says what is
  meant when the form does not: user:2.7, dn:CN=me,O=org; addr:203.0.113.9 is where a station
  connects from, an IP address without a prefix is one that it uses inside the network.

examples:
  {program} status
      is everything there?
  {program} who 10.8.0.7
      who uses that address
  {program} drops --network guests
      what the network guests loses, why, and what to do about it
  {program} trace alice bob
      why alice does not reach bob
  {program} kick alice --reason "update your client"
      end her connection; `ban alice --for 1h` keeps her out
  {program} capture --port alice | tcpdump -nr -
      what she sends and gets
  {program} --url https://vpn.example.org/vpn_admin --user admin top
      the busiest ports of a server elsewhere
  eval "$({program} completion bash)"
      complete commands, ports and users with Tab

which server:
  --socket or --url, else ${variable} (a path or a URL), else the one socket that is in
  /run/vpnws or beside uwsgi.ini.

exit codes:
{exit_codes}
  130  stopped by Ctrl-C before it was done (events -f, top and capture end with 0)
"""

COMMON: Final[dict[str, dict[str, Any]]] = {
    "--json": {"action": "store_true", "help": "print what the API answers, for programs"},
    "--socket": {"metavar": "PATH", "help": "the switch's own socket (its vpnws-socket)"},
    "--url": {"metavar": "URL", "help": "its control location, as in https://HOST/vpn_admin"},
    "--user": {"metavar": "NAME", "help": "log in at --url as this user; asks for the password"},
    "--password-file": {
        "metavar": "FILE",
        "type": Path,
        "help": "whose first line is the password",
    },
    "--ca": {
        "metavar": "FILE",
        "type": Path,
        "help": "trust only the authorities in this PEM file",
    },
    "--crt": {"metavar": "FILE", "type": Path, "help": "own certificate for --url, PEM"},
    "--key": {"metavar": "FILE", "type": Path, "help": "its key, PEM (default: in the --crt file)"},
    "--key-password-file": {
        "metavar": "FILE",
        "type": Path,
        "help": "whose first line is the password of an encrypted key; it asks without this",
    },
}
"""The options of every command, and of the program before it."""


def make_parser() -> Parser:
    """Return the parser; what it returns has the command as `command`, a Command."""
    codes = "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [options] COMMAND ...",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(program=PROGRAM, variable=VARIABLE, exit_codes=codes),
    )
    add_common(parser, suppress=False)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.set_defaults(command=None, network="", target=None, parser=parser)
    _add_commands(parser, ALL)
    return parser


def _add_commands(parser: argparse.ArgumentParser, commands: Iterable[Command]) -> None:
    group = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog=PROGRAM, parser_class=Parser
    )
    for command in commands:
        made = group.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"examples:\n{command.examples}" if command.examples else None,
        )
        made.set_defaults(command=command)
        command.options(made)
        add_common(made.add_argument_group("which server, and how to print"), suppress=True)


def add_common(parser: argparse._ActionsContainer, *, suppress: bool) -> None:
    """Add the options that stand before or behind a command.

    With `suppress` an option that is not given leaves no trace: what stood before stays.
    """
    for name, more in COMMON.items():
        if suppress:
            more = {**more, "default": argparse.SUPPRESS}
        parser.add_argument(name, **more)
