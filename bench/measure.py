"""CPU time of a piece of work that runs in this process, and how much it varies."""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_MAX_CALLS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a measurement's repeats, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Spread:
        """Summarize `samples`, at least one."""
        values = sorted(samples)
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def shown(self, unit: str) -> dict[str, str]:
        """Return the cells of a table; the median stands under `unit`."""
        return {
            unit: f"{self.median:,.0f}",
            "quartile 1": f"{self.low:,.0f}",
            "quartile 3": f"{self.high:,.0f}",
        }


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Work:
    """Something to measure: `run` is timed, `reset` makes it ready again and is not."""

    run: Callable[[], object]
    reset: Callable[[], object] = _nothing


def cpu_ns(work: Work, calls: int) -> int:
    """Return the CPU time, in ns, of `calls` runs of `work`, the timer's own cost included."""
    clock, run, reset = time.thread_time_ns, work.run, work.reset
    total_ns = 0
    for _ in range(calls):
        start_ns = clock()
        run()
        total_ns += clock() - start_ns
        reset()
    return total_ns


def timer_ns(calls: int = 20_000) -> float:
    """Return what the timer and an empty call add to one run."""
    return min(cpu_ns(Work(_nothing), calls) / calls for _ in range(5))


def calls_for(work: Work, sample_ns: int) -> int:
    """Return how many runs of `work` take about `sample_ns`; it warms the work up too."""
    calls = 1
    while (took_ns := cpu_ns(work, calls)) < sample_ns // 4 and calls < _MAX_CALLS:
        calls *= 2
    return max(1, min(_MAX_CALLS, calls * sample_ns // max(took_ns, 1)))


def in_turn(works: Sequence[Work], sample_ms: int, repeats: int) -> list[tuple[float, ...]]:
    """Return `repeats` samples of each work, in ns of CPU for one run of it.

    A sample takes about `sample_ms` ms. The works take turns, so that a busy moment of the machine
    hits all alike.
    """
    with without_collector():
        calls = [calls_for(work, sample_ms * 1_000_000) for work in works]
        overhead_ns = timer_ns()
        rounds = [
            [cpu_ns(*pair) / pair[1] - overhead_ns for pair in zip(works, calls, strict=True)]
            for _ in range(repeats)
        ]
    return list(zip(*rounds, strict=True))


@contextmanager
def without_collector() -> Iterator[None]:
    """Disable Python's cyclic garbage collector, as timeit does."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
