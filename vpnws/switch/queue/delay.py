"""How long frames waited in a queue, in buckets."""

from __future__ import annotations

from typing import Final

DELAY_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Frames that waited are counted by the first of these that their wait does not exceed; those that
waited longer than the last one are counted together."""


def no_delays() -> list[int]:
    """Return a count of 0 for each bucket; the last one is of frames that waited longest."""
    return [0] * (len(DELAY_BOUNDS_S) + 1)
