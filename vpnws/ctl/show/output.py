"""What the program prints: tables for people, JSON for programs, remarks on stderr."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

import msgspec
from rich.console import Console

from vpnws.ctl.show.table import make_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpnws.ctl.show.table import Column

PROGRAM: Final = "vpnws-ctl"
PLAIN_COLUMNS: Final = 100_000
"""How wide a table may be that goes into a file or a pipe: nothing is cut off there."""
T = TypeVar("T")


@dataclass(slots=True)
class Output:
    """Where a command prints to."""

    as_json: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at what is printed."""
        return self.out.isatty()

    def console(self) -> Console:
        """Return rich's console, for which the text of the data is text and nothing else."""
        width = None if self.is_terminal else PLAIN_COLUMNS
        return Console(
            file=self.out, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False
        )

    def document(self, data: bytes) -> None:
        """Print JSON, indented for a terminal, on one line for a program."""
        self.line(safe_json(msgspec.json.format(data, indent=2 if self.is_terminal else 0)))

    def json_line(self, data: bytes) -> None:
        """Print JSON on one line, whoever reads it."""
        self.line(safe_json(data))

    def table(self, columns: Sequence[Column[T]], rows: Iterable[T]) -> None:
        """Print a table."""
        console = self.console()
        made = make_table(columns, rows, console.width if self.is_terminal else None)
        with console.capture() as captured:
            console.print(made)
        # rich fills the last column with spaces.
        for line in captured.get().splitlines():
            if line.strip():
                self.line(line.rstrip())

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names and values, one pair a line."""
        rows = list(pairs)
        width = max((len(title) for title, _ in rows), default=0)
        for title, value in rows:
            self.line(f"{title:<{width}}  {value}")

    def line(self, text: str) -> None:
        """Print one line."""
        self.out.write(f"{text}\n")

    def remark(self, sentence: str) -> None:
        """Print a sentence to stderr: it is no part of the data."""
        self.out.flush()
        self.err.write(f"{PROGRAM}: {sentence}\n")

    def flush(self) -> None:
        """Have everything reach its reader. Raises OSError, BrokenPipeError among them."""
        self.out.flush()


def safe_json(data: bytes) -> str:
    """Return JSON with everything outside of ASCII escaped: a terminal takes nothing for a command.

    JSON itself escapes the control characters of ASCII, but not those after it (U+009B).
    """
    text = data.decode(errors="replace")
    if text.isascii():
        return text
    return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
