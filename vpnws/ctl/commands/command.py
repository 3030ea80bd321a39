"""What a command is: its name, its options, and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from vpnws.ctl.commands.targets import FORMS, Target, read_target
from vpnws.ctl.exits import Exit
from vpnws.ctl.show import words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from vpnws.ctl.reach.api import Api, Page
    from vpnws.ctl.show.output import Output


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a command."""

    options: argparse.Namespace
    api: Api
    output: Output

    @property
    def network(self) -> str:
        """The value of --network, empty without it."""
        network: str = self.options.network
        return network

    @property
    def target(self) -> Target | None:
        """The target, None if none was given. Raises ConfigError."""
        return read_target(self.options.target) if self.options.target else None

    def whole(self, missing: Sequence[str], *, cut: bool = False) -> Exit:
        """Return the exit code of an answer in which `missing` may be missing; say what is."""
        for process in missing:
            self.output.remark(
                f"{words.name(process)} did not answer in time: what it has is not in this answer"
            )
        if cut:
            self.output.remark("the list is longer: ask for less, with --network or --search")
        return Exit.DEGRADED if missing or cut else Exit.DONE

    def listed(self, page: Page) -> Exit:
        """Print a list as one JSON document; return the exit code."""
        self.output.document(msgspec.json.encode({"items": page.items, "missing": page.missing}))
        return self.whole(page.missing, cut=bool(page.next))


Run: TypeAlias = "Callable[[Call], Exit]"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the program."""

    name: str
    summary: str
    """One line, for the list of commands."""
    run: Run
    options: Callable[[argparse.ArgumentParser], None] = field(default=lambda _: None)
    """Adds the command's own options to its parser."""
    examples: str = ""
    """Lines for the end of its help."""
    asks: bool = True
    """Whether it asks a server; without that, no server need be there."""


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add --network, which each command about ports, MACs or stations has."""
    parser.add_argument("--network", metavar="NAME", default="", help="this network only")


def add_target(parser: argparse.ArgumentParser, *, required: bool = True, what: str = "") -> None:
    """Add a target, and --network; `what` is said instead of "what is meant"."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs=None if required else "?",
        help=f"{what or 'what is meant'}: {FORMS}",
    )
    add_network(parser)
