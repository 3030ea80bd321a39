"""The run: every contestant's measurements, taken in turn, round after round."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.compare import measures
from bench.compare.contestant import SkippedError
from bench.compare.results import CLEAN, Results, Sample
from tests.support.processes import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack

    from bench.compare.contestant import Contestant
    from bench.compare.measures import Durations, Values

    Measure = Callable[[Contestant], Values]

FAILURES: Final = (
    CommandError, RuntimeError, TimeoutError, ValueError, EOFError, subprocess.TimeoutExpired
)  # fmt: skip
"""What a measurement over a bad path may end in; the next one goes on."""
_SHOWN: Final = ("mbit_s", "frames_s", "p50_us", "ping_p50_ms", "mb")


@dataclass
class Guesses:
    """What the last search found for each contestant: where its next one begins."""

    known: dict[str, float]

    def udp(self, one: Contestant, seconds: float) -> Values:
        """Search the highest rate of small frames."""
        found = measures.udp(one, self.known.get(one.name, measures.FIRST_GUESS), seconds)
        self.known[one.name] = found["frames_s"] or measures.FIRST_GUESS
        return found


def clean_measures(times: Durations) -> dict[str, Measure]:
    """Return what is measured on the clean path, by name."""
    guesses = Guesses({})

    def tcp(streams: int, *, reverse: bool) -> Measure:
        return lambda one: measures.tcp(one, streams, reverse=reverse, seconds=times.tcp_s)

    return {
        "tcp1 up": tcp(1, reverse=False),
        "tcp1 down": tcp(1, reverse=True),
        "tcp4 up": tcp(4, reverse=False),
        "tcp4 down": tcp(4, reverse=True),
        "udp64": lambda one: guesses.udp(one, times.udp_s),
        "rr tcp": lambda one: measures.requests(one, "tcp", times.request_s),
        "rr udp": lambda one: measures.requests(one, "udp", times.request_s),
        "ping": lambda one: measures.idle_ping(one, times.ping_s),
        "memory": measures.memory,
    }


def enter_all(
    planned: Sequence[Contestant], stack: ExitStack, results: Results
) -> list[Contestant]:
    """Start those that can take part, and note why the others cannot."""
    entered = []
    for one in planned:
        say(f"starting {one.name}: {one.sentence}")
        try:
            entered.append(stack.enter_context(one))
        except SkippedError as error:
            say(f"  skipped: {error}")
            results.skipped[one.name] = str(error)
    return entered


def run(
    contestants: Sequence[Contestant],
    what: Mapping[str, Measure],
    repeats: int,
    results: Results,
    path: str = CLEAN,
) -> None:
    """Take every measurement of every contestant `repeats` times.

    Contestants take turns within a measurement, and another one begins each round, so that a
    busy moment of the machine does not always hit the same. Only the one that is measured
    carries traffic.
    """
    total = repeats * len(what) * len(contestants)
    done, began_s = 0, time.monotonic()
    for number in range(repeats):
        turn = number % max(1, len(contestants))
        order = [*contestants[turn:], *contestants[:turn]]
        for name, measure in what.items():
            for one in order:
                done += 1
                told = _take(Sample(one.name, path, number, name, {}), one, measure, results)
                spent_s = time.monotonic() - began_s
                say(f"[{done}/{total} {spent_s:.0f} s] {path} {name} {one.name}: {told}")


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


def _take(sample: Sample, one: Contestant, measure: Measure, results: Results) -> str:
    try:
        sample.values.update(measure(one))
    except FAILURES as error:
        told = f"{sample.contestant}, {sample.path}, {sample.measure}: {error}"
        results.failures.append(told)
        return f"failed: {error}"
    results.samples.append(sample)
    return "  ".join(f"{k} {sample.values[k]:,.2f}" for k in _SHOWN if k in sample.values)
