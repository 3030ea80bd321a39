"""Tables: columns of views, as many as the terminal has room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GAP_COLUMNS: Final = 3
"""What rich puts between two columns that have a line under their titles."""
MIN_WRAPPED_COLUMNS: Final = 16
"""A column that wraps is not made narrower than this, as long as another can be left out."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table: its title, and what it shows of a view."""

    title: str
    cell: Callable[[T], str]
    is_number: bool = False
    wraps: bool = False
    """Whether a long text takes several lines on a narrow terminal."""
    spare: int = 0
    """On a narrow terminal the columns with the highest numbers are left out; 0 always stays."""


def make_table(columns: Sequence[Column[T]], rows: Iterable[T], width_columns: int | None) -> Table:
    """Return a table for rich. In `width_columns` of a terminal it has lines; None is for a file.

    Its title names the columns that there is no room for.
    """
    cells = [[column.cell(row) for column in columns] for row in rows]
    is_plain = width_columns is None
    shown = range(len(columns)) if width_columns is None else _fit(columns, cells, width_columns)
    left_out = [column.title for number, column in enumerate(columns) if number not in shown]
    table = Table(
        box=None if is_plain else SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="" if is_plain else "bold",
        caption=Text(f"not shown for want of room: {', '.join(left_out)}") if left_out else None,
        caption_justify="left",
        caption_style="dim",
    )
    for number in shown:
        _add_column(table, columns[number])
    for row in cells:
        # A Text is not read as markup, whatever the console's settings are.
        table.add_row(*(Text(row[number]) for number in shown))
    return table


def _add_column(table: Table, column: Column[T]) -> None:
    table.add_column(
        Text(column.title),
        justify="right" if column.is_number else "left",
        no_wrap=not column.wraps,
        overflow="fold" if column.wraps else "ellipsis",
    )


def _fit(
    columns: Sequence[Column[T]], cells: Sequence[Sequence[str]], width_columns: int
) -> list[int]:
    """Return the numbers of the columns that fit."""
    widths = [
        max(cell_len(column.title), *(cell_len(row[number]) for row in cells), 0)
        for number, column in enumerate(columns)
    ]
    least = [
        min(width, max(MIN_WRAPPED_COLUMNS, cell_len(column.title))) if column.wraps else width
        for width, column in zip(widths, columns, strict=True)
    ]
    shown = list(range(len(columns)))
    while sum(least[number] + GAP_COLUMNS for number in shown) - GAP_COLUMNS > width_columns:
        most = max(shown, key=lambda number: (columns[number].spare, number))
        if not columns[most].spare:
            break
        shown.remove(most)
    return shown
