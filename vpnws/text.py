"""Makes strangers' text safe to show: as one word of a log line, or as one short sentence."""

from __future__ import annotations

from typing import Final

MAX_VALUE_CHARACTERS: Final = 128
"""A longer value in a log line is cut off here."""
MAX_LINE_CHARACTERS: Final = 200
"""A longer sentence from a stranger is cut off here."""
MAX_SENTENCE_CHARACTERS: Final = 400
"""A longer sentence of a refusal is cut off here, in the server's log and at the client."""
_SEPARATORS: Final = frozenset(" \"'")
"""What ends a value in a log line of the form key=value or 'value'."""


def log_value(text: str, *, keep: str = "") -> str:
    """Return at most MAX_VALUE_CHARACTERS of `text` as one word that cannot forge a log line.

    Spaces, quotes and control characters become '?'; a space or quote in `keep` stays.
    """
    replaced = _SEPARATORS - set(keep)
    shown = text[:MAX_VALUE_CHARACTERS]
    return "".join(c if c.isprintable() and c not in replaced else "?" for c in shown)


def log_words(**values: str) -> str:
    """Return `name=value` for each value, as words of a log line; no text is '-'."""
    return " ".join(f"{name}={log_value(value) or '-'}" for name, value in values.items())


def log_pair(name: str, text: str) -> str:
    """Return `name=text` for a log line; text with spaces is in quotes, and no text is '-'."""
    value = log_value(text, keep=" ") or "-"
    return f"{name}='{value}'" if " " in value else f"{name}={value}"


def one_line(text: str, *, max_characters: int = MAX_LINE_CHARACTERS) -> str:
    """Return `text` as one line: control characters become '?', a long text ends in '...'."""
    if len(text) <= max_characters and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else "?" for c in text[:max_characters])
    return shown if len(text) <= max_characters else shown + "..."


def with_reason(sentence: str, reason: str) -> str:
    """Return `sentence` with the reason after it, if one is given."""
    return f"{sentence}: {reason}" if reason else sentence
