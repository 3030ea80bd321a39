"""What the benches' command lines have in common: how much to measure, and where figures go."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bench import report

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_MS: Final = 15
REPEATS: Final = 15


class Row(Protocol):
    """A line of a bench's results."""

    def shown(self) -> dict[str, str]:
        """Return its cells of the table."""

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m bench.<name>` that knows `--json`."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def make_cpu_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser that also knows how much CPU time to measure, and how often."""
    parser = make_parser(name, description)
    parser.add_argument("--sample-ms", type=int, default=SAMPLE_MS, help="CPU time of one sample")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="samples per figure")
    return parser


def tell(options: argparse.Namespace, name: str, unit: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table, and write them where `--json` says."""
    print(report.table([row.shown() for row in rows]))
    if options.json:
        report.write_json(options.json, name, unit, [row.plain() for row in rows])
