"""The program vpnws-ctl: from the command line to the exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final, cast

from vpnws.commandline.completion import COMPLETE, candidates
from vpnws.commandline.streams import printed
from vpnws.ctl.commands.command import Call
from vpnws.ctl.exits import Exit, exit_code
from vpnws.ctl.program.completion import values
from vpnws.ctl.program.options import make_parser
from vpnws.ctl.program.way import make_way
from vpnws.ctl.reach.api import Api
from vpnws.ctl.show.output import PROGRAM, Output
from vpnws.errors import AmbiguousError, ConnectError, VpnwsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vpnws.ctl.commands.command import Command
    from vpnws.ctl.reach.request import Answer, Request

INTERRUPTED: Final = 128 + signal.SIGINT
"""What shells expect of a program that Ctrl-C has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code (vpnws.ctl.exits).

    `arguments` are those after the program's name, sys.argv's by default. For --help, --version
    and wrong options argparse ends the program itself.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output()
    run = _complete if words[:1] == [COMPLETE] else _run
    try:
        return printed(PROGRAM, lambda: run(output, words))
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(output: Output, words: list[str]) -> int:
    parser = make_parser()
    options = parser.parse_args(words)
    output.as_json = options.json
    if options.command is None:
        parser.error("which command? --help lists them")
    try:
        return _call(output, options)
    except VpnwsError as error:
        output.remark(str(error))
        if isinstance(error, AmbiguousError):
            for line in error.candidates:
                output.remark(f"  {line}")
        return exit_code(error)


def _call(output: Output, options: argparse.Namespace) -> Exit:
    command = cast("Command", options.command)
    way = make_way(options) if command.asks else _NoWay()
    return command.run(Call(options, Api(way), output))


def _complete(output: Output, words: list[str]) -> int:
    begun = words[2:] if words[1:2] == ["--"] else words[1:]
    for word in candidates(make_parser(), begun, values(os.environ)):
        output.line(word)
    return Exit.DONE


class _NoWay:
    """The way of a command that asks no server."""

    shown = "no server"

    def ask(self, request: Request) -> Answer:
        """Raise ConnectError."""
        raise ConnectError(f"{request.path} is asked of {self.shown}")
