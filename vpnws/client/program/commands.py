"""The commands of vpnws-client besides joining a network: `vpnws-client COMMAND ...`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from vpnws.commandline.completion import COMPLETE
from vpnws.commandline.streams import printed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.commandline.parser import Parser

PROGRAM: Final = "vpnws-client"


@dataclass(frozen=True, slots=True)
class Command:
    """A command; its module is imported only to run it.

    The module has `main(arguments) -> int` and `make_parser() -> Parser`.
    """

    name: str
    summary: str
    """What it does, for the help."""
    module: str

    def run(self, arguments: Sequence[str]) -> int:
        """Run it with the `arguments` after its name; return the exit code."""
        return printed(PROGRAM, lambda: self._module().main(arguments))

    def parser(self) -> Parser:
        """Return the command's parser."""
        parser: Parser = self._module().make_parser()
        return parser

    def _module(self) -> Any:
        return import_module(self.module)


COMMANDS: Final[tuple[Command, ...]] = (
    Command(
        "status",
        "show how the running clients of this machine are",
        "vpnws.client.program.command_status",
    ),
    Command(
        "doctor",
        "walk from the server's name to the first frame, and say where it ends",
        "vpnws.client.program.command_doctor",
    ),
    Command("clean", "undo what killed clients have left", "vpnws.client.program.command_clean"),
    Command(
        "completion",
        "print a script that completes options in shells",
        "vpnws.client.program.command_completion",
    ),
    Command("man", "print the manual page (roff)", "vpnws.client.program.command_man"),
)
"""A TAP that has the name of a command comes after `--`."""
_HIDDEN: Final = (Command(COMPLETE, "", "vpnws.client.program.command_complete"),)
"""What only scripts call."""


def find(arguments: Sequence[str]) -> Command | None:
    """Return the command that the first of `arguments` names, None if it names a device."""
    known = (*COMMANDS, *_HIDDEN)
    return next((command for command in known if command.name in arguments[:1]), None)
