"""Numbers, times and names as people read them; strangers' text is made safe here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from vpnws.commandline.units import duration
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.control.views import Who

MAX_NAME_CHARACTERS: Final = 64
"""A longer name in a table ends in '...'; --json has all of it."""
NOTHING: Final = "-"
"""What a cell has that would be empty: columns stay countable for awk."""
_NOW_S: Final = 1.0
"""What happened less than this ago, happened now."""


def name(text: str) -> str:
    """Return a stranger's text as one short line without control characters."""
    return one_line(text, max_characters=MAX_NAME_CHARACTERS) or NOTHING


def who(station: Who) -> str:
    """Return how to call a station: by user, else by DN, else by address."""
    return name(station.user or station.dn or station.addr)


def age(then_s: float, now_s: float) -> str:
    """Return how long ago `then_s` was, both Unix times; nothing for a time that never was."""
    if not then_s:
        return NOTHING
    return "now" if now_s - then_s < _NOW_S else duration(now_s - then_s)


def moment(time_s: float) -> str:
    """Return a Unix time as date and time of this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))


def number(count: int | None) -> str:
    """Return a count with commas, or that there is none."""
    return NOTHING if count is None else f"{count:,}"


def counts(by_reason: Mapping[str, int]) -> str:
    """Return counts by reason, the largest first."""
    ordered = sorted(by_reason.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{name(reason)} {count:,}" for reason, count in ordered if count) or NOTHING


def listed(words: tuple[str, ...], total: int | None = None) -> str:
    """Return names in a row; `total` says how many there are if these are not all."""
    more = 0 if total is None else total - len(words)
    shown = [name(word) for word in words] + ([f"and {more:,} more"] if more > 0 else [])
    return ", ".join(shown) or NOTHING


def sentence(text: str) -> str:
    """Return a sentence of the server as one line."""
    return one_line(text, max_characters=MAX_SENTENCE_CHARACTERS) or NOTHING
