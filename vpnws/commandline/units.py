"""Durations, sizes and rates as people read them."""

from __future__ import annotations

from typing import Final

_AGES: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_STEP: Final = 1000.0
_PREFIXES: Final = ("", "k", "M", "G", "T", "P")


def duration(time_s: float) -> str:
    """Return a duration in its one or two largest units, as in `2 h 10 min`."""
    left = max(0, int(time_s))
    words: list[str] = []
    for unit_s, unit in _AGES:
        count, left = divmod(left, unit_s)
        if count or words:
            words += [f"{count} {unit}"] if count else []
            if len(words) == 2 or unit_s <= 60:
                break
    return " ".join(words) or "0 s"


def scaled(value: float, unit: str) -> str:
    """Return `value` with three digits and a decimal prefix, as in `1.23 MB`."""
    for prefix in _PREFIXES:
        if abs(value) < _STEP or prefix == _PREFIXES[-1]:
            break
        value /= _STEP
    digits = f"{value:.3g}" if prefix and abs(value) < 100 else f"{value:.0f}"
    return f"{digits} {prefix}{unit}"


def size(count_bytes: float) -> str:
    """Return a number of bytes, as in `1.23 MB`."""
    return scaled(count_bytes, "B")


def bit_rate(bytes_per_s: float) -> str:
    """Return a rate, as in `12.3 Mbit/s`."""
    return scaled(8 * bytes_per_s, "bit/s")
