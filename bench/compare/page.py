"""Puts a run's tables into a Markdown page, between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN: Final = "<!-- results of the last full run: begin -->"
END: Final = "<!-- results of the last full run: end -->"


def has_marks(page: str) -> bool:
    """Return whether the page has exactly one pair of marks."""
    counts = page.count(BEGIN), page.count(END)
    return counts == (1, 1) and page.index(BEGIN) < page.index(END)


def with_results(page: str, tables: str, facts: Mapping[str, str | int]) -> str:
    """Return the page with the tables and the machine's facts between its marks.

    Raises ValueError unless the page has exactly one pair of marks.
    """
    if not has_marks(page):
        raise ValueError(f"the page needs one line {BEGIN!r} and after it one {END!r}")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    told = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    machine = f"| machine | |\n|---|---|\n{told}"
    lines = "\n".join(line.rstrip() for line in tables.splitlines())
    return f"{before}{BEGIN}\n\n{machine}\n\n```text\n{lines}\n```\n\n{END}{after}"
