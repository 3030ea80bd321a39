"""The commands of vpnws-client besides joining a network: `vpnws-client COMMAND ...`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Command:
    """A command; its module has `main(arguments) -> int`, and is imported only to run it."""

    name: str
    summary: str
    """What it does, for the help."""
    module: str

    def run(self, arguments: Sequence[str]) -> int:
        """Run it with the `arguments` after its name; return the exit code."""
        code: int = import_module(self.module).main(arguments)
        return code


COMMANDS: Final[tuple[Command, ...]] = (
    Command("clean", "undo what killed clients have left", "vpnws.client.program.clean"),
)
"""A TAP that has the name of a command comes after `--`."""


def find(arguments: Sequence[str]) -> Command | None:
    """Return the command that the first of `arguments` names, None if it names a device."""
    return next((command for command in COMMANDS if command.name in arguments[:1]), None)
