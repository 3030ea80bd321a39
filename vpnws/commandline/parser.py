"""An argument parser that asks what was meant, and tells what may be given."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WIDTH: Final = 94
_HELP_POSITION: Final = 26


class Parser(argparse.ArgumentParser):
    """The parser of a program, or of one of its commands.

    Its help is as wide on each terminal and keeps paragraphs, and an option is written out in full.
    """

    also_commands: Mapping[str, Parser] = {}
    """Parsers of commands which the program itself tells apart, before this parser."""

    def __init__(self, **given: Any) -> None:
        """`given` is what argparse.ArgumentParser takes."""
        super().__init__(formatter_class=_formatter, allow_abbrev=False, **given)

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
        return [each for each in self._get_positional_actions() if not _is_choice(each)]

    @property
    def groups(self) -> Sequence[tuple[str, Sequence[argparse.Action]]]:
        """The groups of the help that are not empty: title and members, without the command."""
        groups = [(group.title or "", group._group_actions) for group in self._action_groups]  # noqa: SLF001
        shown = [
            (title, [each for each in actions if not _is_choice(each) and not _is_hidden(each)])
            for title, actions in groups
        ]
        return [(title, actions) for title, actions in shown if actions]

    @property
    def commands(self) -> Mapping[str, Parser]:
        """The parser of each command."""
        found = next((each for each in self._actions if _is_choice(each)), None)
        choices = found.choices if found is not None else None
        own = dict(choices.items()) if isinstance(choices, dict) else {}
        return {**own, **self.also_commands}

    def _meant(self, message: str) -> str:
        """Return a question that names options and commands that were meant; empty if none."""
        # argparse has the whole program complain about what a command does not know.
        of_commands = (name for each in self.commands.values() for name in each.options)
        known = [name for name in (*self.options, *self.commands, *of_commands) if len(name) > 2]
        # What argparse says behind that are the commands themselves.
        said = message.partition("(choose")[0].split()
        words = {word.partition("=")[0].strip("',") for word in said} - {*known}
        near = sorted({name for word in words for name in nearest(word, known)})
        is_named = "invalid choice" in message or "unrecognized" in message
        return f" (is {' or '.join(near)} meant?)" if near and is_named else ""


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the name of `known` that `word` begins, else the one spelt nearly like it, if any."""
    names = list(known)
    # -user is meant as --user, and -v as nothing that we have.
    is_long = word.startswith("-") and len(word) > 2
    meant = f"--{word.lstrip('-')}" if is_long else word
    longer = [name for name in names if name.startswith(meant)] if is_long else []
    return longer[:1] or get_close_matches(meant, names, n=1)


def help_of(action: argparse.Action) -> str:
    """Return the sentence of an option or a place, with its default filled in."""
    return (action.help or "") % {**vars(action), "default": action.default}


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(
        prog, width=_WIDTH, max_help_position=_HELP_POSITION
    )


def _is_choice(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _is_hidden(action: argparse.Action) -> bool:
    return action.help == argparse.SUPPRESS
