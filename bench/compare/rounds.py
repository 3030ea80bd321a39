"""The run: every contestant's measurements, taken in turn, round after round."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.compare import measures
from bench.compare.contestant import SkippedError
from bench.compare.lane import Path
from bench.compare.results import CLEAN, Results, Sample
from bench.compare.usage import usage
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
MAX_OTHERS_CPUS: Final = 0.25
"""A sample is disturbed when other work on the machine used more than this many processors."""
_SHOWN: Final = ("mbit_s", "frames_s", "p50_us", "ping_p50_ms", "mb", "others_cpus")


@dataclass
class Guesses:
    """What the last search found for each contestant: where its next one begins."""

    known: dict[str, float]

    def udp(self, one: Contestant, times: Durations) -> Values:
        """Search the highest rate of small frames."""
        guess = self.known.get(one.name, measures.FIRST_GUESS)
        found = measures.udp(one, guess, times.udp_s, times.udp_probes)
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
        "udp64": lambda one: guesses.udp(one, times),
        "rr tcp": lambda one: measures.requests(one, "tcp", times.request_s),
        "rr udp": lambda one: measures.requests(one, "udp", times.request_s),
        "ping": lambda one: measures.idle_ping(one, times.ping_s),
        "memory": measures.memory,
    }


def bad_path_measures(path: Path, times: Durations) -> dict[str, Measure]:
    """Return what is measured over a bad path, by name."""

    def tcp(*, reverse: bool) -> Measure:
        return lambda one: measures.tcp(
            one, 1, reverse=reverse, seconds=times.bad_tcp_s, omit_s=measures.SPEED_UP_S
        )

    return {
        "tcp1 up": _over(path, tcp(reverse=False)),
        "tcp1 down": _over(path, tcp(reverse=True)),
        "rr tcp": _over(path, lambda one: measures.requests(one, "tcp", times.bad_request_s)),
    }


def line_measures(times: Durations) -> dict[str, Measure]:
    """Return what shows how much the delay line itself can carry."""
    clean = clean_measures(times)
    return {name: _over(Path(), clean[name]) for name in ("tcp1 up", "tcp1 down", "udp64")}


def enter_all(
    planned: Sequence[Contestant], stack: ExitStack, results: Results
) -> list[Contestant]:
    """Start those that can take part, and note why the others cannot."""
    entered = []
    for one in planned:
        say(f"starting {one.name}: {one.sentence}")
        try:
            entered.append(stack.enter_context(one))
        except (SkippedError, *FAILURES) as error:
            say(f"  skipped: {error}")
            results.skipped[one.name] = str(error)
    return entered


def run(
    contestants: Sequence[Contestant],
    what: Mapping[str, Measure],
    repeats: int,
    results: Results,
    path: str = CLEAN,
    tries: int = 1,
) -> None:
    """Take every measurement of every contestant `repeats` times.

    A sample that was disturbed by other work is taken again, `tries` times in all.

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
                told = _take(Sample(one.name, path, number, name, {}), one, measure, results, tries)
                spent_s = time.monotonic() - began_s
                say(f"[{done}/{total} {spent_s:.0f} s] {path} {name} {one.name}: {told}")


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


def _over(path: Path, measure: Measure) -> Measure:
    """Return the measurement over a path, with the delay line's own counters."""

    def take(one: Contestant) -> Values:
        one.lan.line.become(path)
        values = measure(one)
        told = one.lan.line.become(path)
        lost = sum(lane["lost"] for lane in told["lanes"])
        dropped = sum(lane["dropped"] for lane in told["lanes"])
        of_line = {"line_cpus": told["cpu_s"] / told["elapsed_s"]}
        return {**values, **of_line, "line_lost": lost, "line_dropped": dropped}

    return take


def _take(sample: Sample, one: Contestant, measure: Measure, results: Results, tries: int) -> str:
    try:
        sample.values.update(_undisturbed(one, measure, tries))
    except FAILURES as error:
        told = f"{sample.contestant}, {sample.path}, {sample.measure}: {error}"
        results.failures.append(told)
        return f"failed: {error}"
    results.samples.append(sample)
    return "  ".join(f"{k} {sample.values[k]:,.2f}" for k in _SHOWN if k in sample.values)


def _undisturbed(one: Contestant, measure: Measure, tries: int) -> Values:
    """Measure again while others use the machine; return the least disturbed values."""
    taken: list[Values] = []
    while not taken or (len(taken) < tries and taken[-1]["others_cpus"] > MAX_OTHERS_CPUS):
        before, began_s = usage(one.pids), time.monotonic()
        values = measure(one)
        spent = usage(one.pids) - before
        line_s = values.get("line_cpus", 0.0) * (time.monotonic() - began_s)
        others_s = max(0.0, spent.others_s - line_s)
        taken.append({**values, "others_cpus": others_s / (time.monotonic() - began_s)})
    return min(taken, key=lambda values: values["others_cpus"])
