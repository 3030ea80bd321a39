"""Percentiles, and the search for the highest rate that still passes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEP: Final = 1.6
"""Factor between two rates while the search looks for a bracket."""
PRECISION: Final = 1.08
"""Upper over lower end of the bracket at which the search ends."""
MAX_PROBES: Final = 12
LEAST_RATE: Final = 100.0


def percentile(values: Sequence[float], part: float) -> float:
    """Return the least value that is no less than `part` (0 to 1) of all values (nearest rank).

    Raises ValueError when there is none.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def highest_rate(probe: Callable[[float], float], guess: float, probes: int = MAX_PROBES) -> float:
    """Return the highest rate found that passes, 0 if none does.

    `probe` tries a rate and returns the rate that went through, 0 if too much was lost; more than
    `probes` calls are not made. The search brackets from `guess`, then bisects on a logarithmic
    scale.
    """
    best = low = 0.0
    high = math.inf
    rate = guess
    for _ in range(probes):
        passed = probe(rate)
        best = max(best, passed)
        if passed:
            low = rate
            if passed * STEP < rate:
                # The sender itself is at its limit, so a higher rate would show nothing new.
                break
        else:
            high = rate
        if high < LEAST_RATE or high <= low * PRECISION:
            break
        rate = _between(low, high)
    return best


def _between(low: float, high: float) -> float:
    if not low:
        return high / STEP
    if math.isinf(high):
        return low * STEP
    return math.sqrt(low * high)
