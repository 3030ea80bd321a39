"""Makes text from strangers fit to be shown in one line of a log."""

from __future__ import annotations

from typing import Final

MAX_SHOWN_CHARACTERS: Final = 200
"""A longer text from a stranger is cut off here."""


def printable(text: str) -> str:
    """Return `text` without control characters, and no longer than a line should be."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: MAX_SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else shown[:MAX_SHOWN_CHARACTERS] + "..."
