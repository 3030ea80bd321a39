"""What bans, pins and limits share: lists of entries that stay, each with an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vpnws.ctl.commands.change import show_changes
from vpnws.ctl.commands.command import Call, add_network
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import Page
from vpnws.ctl.show import words
from vpnws.errors import AmbiguousError, NotFoundError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from vpnws.ctl.show.table import Column


class Entry(Protocol):
    """What every entry has."""

    @property
    def id(self) -> str:
        """What to name it by."""
        ...

    @property
    def user(self) -> str:
        """Whom it is about, empty if a DN or an address says that."""
        ...

    @property
    def dn(self) -> str:
        """The same by DN."""
        ...

    @property
    def network(self) -> str:
        """Where it counts, empty for everywhere."""
        ...


@dataclass(frozen=True, slots=True)
class Entries:
    """One kind of entries: where they are, and how they are called."""

    path: str
    kind: type[Entry]
    noun: str
    columns: Callable[[float], Sequence[Column[Entry]]]

    def list(self, call: Call) -> Exit:
        """Print all entries."""
        page = self._in_network(call)
        if call.output.as_json:
            return call.listed(page)
        entries = page.of(self.kind)
        if entries:
            call.output.table(self.columns(call.api.now_s()), entries)
        else:
            call.output.remark(f"there is no {self.noun} now")
        return call.whole(page.missing)

    def remove(self, call: Call) -> Exit:
        """Remove what the target names: an id, a user, a DN, an address or a MAC."""
        found = self.find(call, call.options.target)
        if len(found) > 1 and not call.options.all:
            raise AmbiguousError(
                f"{words.name(call.options.target)} means {len(found)} entries: name one by its"
                " id, or remove them with --all",
                tuple(map(describe, found)),
            )
        answers = []
        for entry in found:
            answers.append(call.api.change("DELETE", f"{self.path}/{entry.id}"))
            if not call.output.as_json:
                call.output.line(f"removed {self.noun} {describe(entry)}")
        show_changes(call, answers)
        return Exit.DONE

    def find(self, call: Call, text: str) -> Sequence[Entry]:
        """Return the entries that `text` names, at least one. Raises NotFoundError."""
        entries = self._in_network(call).of(self.kind)
        wanted = text.partition(":")[2] if text.startswith(("user:", "dn:", "addr:")) else text
        found = [each for each in entries if each.id == text] or [
            each for each in entries if wanted.lower() in _names(each)
        ]
        if not found:
            raise NotFoundError(
                f"there is no {self.noun} {words.name(text)}: `{self.path}` lists them"
            )
        return found

    def _in_network(self, call: Call) -> Page:
        """Return the entries for the network that is asked for; without one, all of them."""
        page = call.api.whole(self.path)
        if not call.network:
            return page
        entries = zip(page.items, page.of(self.kind), strict=True)
        kept = tuple(item for item, entry in entries if entry.network in ("", call.network))
        return Page(kept, missing=page.missing)


def describe(entry: Entry) -> str:
    """Return an entry in a line."""
    named = [words.name(name) for name in _names(entry, lower=False)]
    network = f" in network {words.name(entry.network)}" if entry.network else ""
    return f"{words.name(entry.id)} ({', '.join(named)}{network})"


def add_removal(parser: argparse.ArgumentParser) -> None:
    """Add what names an entry."""
    parser.add_argument(
        "target", metavar="ENTRY", help="its id, or the user, DN, address or MAC that it is about"
    )
    add_network(parser)
    parser.add_argument("--all", action="store_true", help="every entry that ENTRY means")


def _names(entry: Entry, *, lower: bool = True) -> list[str]:
    found = [entry.user, entry.dn, getattr(entry, "addr", ""), getattr(entry, "mac", "")]
    return [name.lower() if lower else name for name in found if name]
