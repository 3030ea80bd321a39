"""Reads what tests compare with the code in a Markdown page: blocks, commands, tables, links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE = re.compile(r"^( *)```(.*?)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPTS = ("$ ", "# ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the words after that, its text."""

    language: str
    tags: list[str]
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command in a block, and the lines of output below it."""

    text: str
    output: list[str] = field(default_factory=list)


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks, in order, without their indentation."""
    found = []
    for indent, info, text in _FENCE.findall(page):
        language, *tags = info.split() or [""]
        lines = [line.removeprefix(indent) for line in text.splitlines()]
        found.append(Block(language, tags, "\n".join(lines)))
    return found


def commands(block: Block) -> list[Command]:
    """Return the lines that begin with a prompt (`$ ` or `# `) in a console or sh block."""
    found: list[Command] = []
    if block.language not in ("console", "sh"):
        return found
    for line in block.text.splitlines():
        if line.startswith(_PROMPTS):
            found.append(Command(line[2:]))
        elif found:
            found[-1].output.append(line)
    return found


def table(page: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is `first`. Raises LookupError."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            return _rows(lines)
    raise LookupError(f"there is no table that begins with {first!r}")


def links(page: str) -> list[str]:
    """Return the targets of the links, in order."""
    return _LINK.findall(_FENCE.sub("", page))


def slugs(page: str) -> set[str]:
    """Return the names by which links reach the headings."""
    headings = _HEADING.findall(_FENCE.sub("", page))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def _rows(lines: Iterator[str]) -> list[list[str]]:
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found
