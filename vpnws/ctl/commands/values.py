"""Reads the values of options: durations and numbers."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

MAX_DURATION_S: Final = 366 * 86400
"""A longer duration is refused."""
MAX_COUNT: Final = 2**31 - 1
"""A larger number is refused."""
_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION: Final = re.compile(r"([0-9]{1,9})(s|min|m|h|d|w|)")


def duration_s(text: str) -> int:
    """Return a duration such as 90, 90s, 15m, 2h, 7d or 1w in seconds."""
    found = _DURATION.fullmatch(text)
    time_s = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < time_s <= MAX_DURATION_S:
        raise ArgumentTypeError(f"{text!r} is not a duration like 90s, 15m, 2h, 7d or 1w")
    return time_s


def count(text: str) -> int:
    """Return a whole number from 0."""
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else -1
    if not 0 <= number <= MAX_COUNT:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_COUNT}")
    return number
