"""An argument parser that asks what was meant, and tells completion what may be given."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Parser(argparse.ArgumentParser):
    """The parser of the program, or of one of its commands."""

    def error(self, message: str) -> NoReturn:
        """Print how to use the program and what was wrong; exit with code 2."""
        super().error(message + self._meant(message))

    @property
    def options(self) -> Mapping[str, argparse.Action]:
        """Every option by each of its names."""
        return self._option_string_actions

    @property
    def places(self) -> Sequence[argparse.Action]:
        """What is given without an option's name, but for the command."""
        return [each for each in self._get_positional_actions() if not self._is_choice(each)]

    @property
    def commands(self) -> Mapping[str, Parser]:
        """The parser of each command."""
        found = next((each for each in self._actions if self._is_choice(each)), None)
        choices = found.choices if found is not None else None
        return dict(choices.items()) if isinstance(choices, dict) else {}

    def _is_choice(self, action: argparse.Action) -> bool:
        return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001

    def _meant(self, message: str) -> str:
        """Return a question that names options and commands that were meant; empty if none."""
        # argparse has the whole program complain about what a command does not know.
        of_commands = (name for each in self.commands.values() for name in each.options)
        known = [name for name in (*self.options, *self.commands, *of_commands) if len(name) > 2]
        # What argparse says behind that are the commands themselves.
        said = message.partition("(choose")[0].split()
        words = {word.partition("=")[0].strip("',") for word in said} - {*known}
        near = sorted({name for word in words for name in get_close_matches(word, known, n=1)})
        is_named = "invalid choice" in message or "unrecognized" in message
        return f" (is {' or '.join(near)} meant?)" if near and is_named else ""
