"""The run's results as tables for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.compare.paths import PATH_SENTENCE
from bench.compare.results import CLEAN, LINE
from bench.compare.targets import TARGETS, TCP_1
from bench.measure import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.compare.results import Results


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of the table: its heading, where it comes from, how it is written."""

    heading: str
    measures: Sequence[str]
    figure: str
    scale: float = 1.0
    digits: int = 0

    def cell(self, results: Results, contestant: str, path: str) -> str:
        """Return the median, and the quartiles around it where they differ."""
        spread = results.spread(contestant, self.measures, self.figure, path)
        if not spread:
            return "-"
        low, median, high = (
            f"{value * self.scale:,.{self.digits}f}"
            for value in (spread.low, spread.median, spread.high)
        )
        return median if low == high else f"{median} ({low}..{high})"


RATES: Final = (
    Column("TCP 1 ->", ("tcp1 up",), "mbit_s"),
    Column("TCP 1 <-", ("tcp1 down",), "mbit_s"),
    Column("TCP 4 ->", ("tcp4 up",), "mbit_s"),
    Column("TCP 4 <-", ("tcp4 down",), "mbit_s"),
    Column("UDP 64 B kfps", ("udp64",), "frames_s", 1e-3),
    Column("CPU s/GB", TCP_1, "cpu_s_per_gb", digits=2),
    Column("machine s/GB", TCP_1, "machine_s_per_gb", digits=2),
    Column("memory MB", ("memory",), "mb"),
)
DELAYS: Final = (
    Column("rr TCP /s", ("rr tcp",), "per_s"),
    Column("p50 us", ("rr tcp",), "p50_us"),
    Column("p99 us", ("rr tcp",), "p99_us"),
    Column("rr UDP /s", ("rr udp",), "per_s"),
    Column("p50 us ", ("rr udp",), "p50_us"),
    Column("p99 us ", ("rr udp",), "p99_us"),
    Column("idle ping p50 ms", ("ping",), "ping_p50_ms", digits=2),
    Column("loaded p50", TCP_1, "ping_p50_ms", digits=2),
    Column("p95", TCP_1, "ping_p95_ms", digits=2),
    Column("p99", TCP_1, "ping_p99_ms", digits=2),
    Column("lost %", TCP_1, "ping_lost", 100, 1),
)
BAD_PATH: Final = (
    Column("TCP 1 ->", ("tcp1 up",), "mbit_s", digits=1),
    Column("TCP 1 <-", ("tcp1 down",), "mbit_s", digits=1),
    Column("loaded ping p50 ms", TCP_1, "ping_p50_ms"),
    Column("p95", TCP_1, "ping_p95_ms"),
    Column("p99", TCP_1, "ping_p99_ms"),
    Column("lost %", TCP_1, "ping_lost", 100, 1),
    Column("rr TCP p50 ms", ("rr tcp",), "p50_us", 1e-3, 1),
    Column("p95 ", ("rr tcp",), "p95_us", 1e-3, 1),
    Column("line CPUs", TCP_1, "line_cpus", digits=2),
)
LINE_ALONE: Final = (
    Column("TCP 1 ->", ("tcp1 up",), "mbit_s"),
    Column("TCP 1 <-", ("tcp1 down",), "mbit_s"),
    Column("UDP 64 B kfps", ("udp64",), "frames_s", 1e-3),
    Column("line CPUs", TCP_1, "line_cpus", digits=2),
)


def text_of(results: Results) -> str:
    """Return all tables: the clean path's, the bad paths', processes, targets, who is missing."""
    parts = [_section(path, results) for path in results.paths()]
    if CLEAN in results.paths():
        parts += [_processes(results), _targets(results)]
    parts += [_others(results)]
    parts += [f"skipped {name}: {reason}" for name, reason in results.skipped.items()]
    parts += [f"failed: {failure}" for failure in results.failures]
    return "\n\n".join(part for part in parts if part)


def _others(results: Results) -> str:
    """Say how quiet the machine was."""
    name = "others_cpus"
    cpus = [one.values[name] for one in results.samples if name in one.values]
    if not cpus:
        return ""
    spread = Spread.of(cpus)
    return (
        f"Other work used {spread.median:.2f} processors ({spread.low:.2f}..{spread.high:.2f}) "
        "during the measurements, some of it the kernel's own for us"
    )


def _section(path: str, results: Results) -> str:
    if path == LINE:
        return f"The delay line alone, without delay or limit\n{_table(LINE_ALONE, results, path)}"
    if path != CLEAN:
        told = f"{path}: {PATH_SENTENCE} (TCP in Mbit/s)"
        return f"{told}\n{_table(BAD_PATH, results, path)}"
    rates = _table(RATES, results, path)
    delays = _table(DELAYS, results, path)
    return f"Bulk (TCP in Mbit/s; median, quartiles)\n{rates}\n\nDelay\n{delays}"


def _table(columns: Sequence[Column], results: Results, path: str) -> str:
    return report.table(
        [
            {
                "": name,
                **{column.heading: column.cell(results, name, path) for column in columns},
            }
            for name in results.contestants(path)
        ]
    )


def _processes(results: Results) -> str:
    prefix = "cpu_s_per_gb of "
    figures = dict.fromkeys(
        (sample.contestant, figure)
        for sample in results.samples
        for figure in sample.values
        if sample.path == CLEAN and figure.startswith(prefix)
    )
    rows = [
        {
            "": contestant,
            "process": figure.removeprefix(prefix),
            "CPU s/GB": Column("", TCP_1, figure, digits=2).cell(results, contestant, CLEAN),
            "memory MB": Column("", ("memory",), figure.replace(prefix, "mb of ")).cell(
                results, contestant, CLEAN
            ),
        }
        for contestant, figure in figures
    ]
    return f"By process (TCP, 1 stream, both ways)\n{report.table(rows)}" if rows else ""


def _targets(results: Results) -> str:
    rows = report.table([target.shown(results) for target in TARGETS])
    return f"Targets (ratios of medians)\n{rows}"
