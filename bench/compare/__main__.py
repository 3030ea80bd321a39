"""Measures vpnws beside OpenVPN, tinc and the bare kernel bridge, in one run on one machine.

Each contestant has network namespaces of its own: a server and two stations, and all traffic
between the stations crosses the server. Nothing leaves the machine, and nothing stays behind,
also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.compare import chart, machine, page, rounds, tables
from bench.compare.bed import Bed
from bench.compare.bridge import Bridge
from bench.compare.measures import Durations
from bench.compare.openvpn import OpenVpnTcp, OpenVpnUdp
from bench.compare.paths import BAD_PATHS
from bench.compare.results import CLEAN, LINE, Results
from bench.compare.targets import TARGETS
from bench.compare.tinc import Tinc
from bench.compare.vpnws import Vpnws, VpnwsApart, VpnwsPlain
from tests.support.tools import tool_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.compare.rounds import Measure

CONTESTANTS: Final = {
    one.name: one for one in (Vpnws, VpnwsApart, VpnwsPlain, OpenVpnTcp, OpenVpnUdp, Tinc, Bridge)
}
REPEATS: Final = 3
BAD_PATH_REPEATS: Final = 2
ON_BAD_PATHS: Final = ("vpnws", "openvpn-tcp", "openvpn-udp", "tinc", "bridge")
QUICK: Final = Durations(
    tcp_s=1, udp_s=0.3, request_s=0.4, ping_s=0.4, bad_tcp_s=2, bad_request_s=1.0
)
TOOLS: Final = ("iperf3", "ping", "ip", "sysctl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison as the command line says; return an exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if sentence := objection(options):
        parser.error(sentence)
    missing = [tool for tool in TOOLS if tool_path(tool) is None]
    if os.geteuid() != 0 or missing:
        print(f"compare: needs root and {', '.join(missing or TOOLS)}", file=sys.stderr)
        return 1
    # A shell that starts it in the background has Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    began_s = time.monotonic()
    results = Results()
    code = 0
    try:
        _measure(options, results)
    except KeyboardInterrupt:
        print("compare: interrupted; all that was started is ended", file=sys.stderr)
        code = 130
    print(f"\n{tables.text_of(results)}\n\n{time.monotonic() - began_s:.0f} s in all")
    if not code:
        _write(options, results)
    return code


def objection(options: argparse.Namespace) -> str:
    """Return what is wrong with the options, before hours are spent on them; empty if nothing."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    if options.congestion and options.congestion not in available:
        return f"this kernel has no {options.congestion!r}: --congestion {' | '.join(available)}"
    if options.page and (options.quick or options.only != list(CONTESTANTS) or options.measures):
        return "--page is for whole runs: leave out --quick, --only and --measures"
    for file in filter(None, (options.json, options.svg, options.page)):
        if not file.parent.is_dir():
            return f"cannot write {file}: there is no directory {file.parent}"
    if options.page and not (options.page.is_file() and page.has_marks(options.page.read_text())):
        return f"{options.page} has no place for results: {page.BEGIN} and {page.END}"
    return ""


def positive(text: str) -> int:
    """Read a number of at least 1. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _write(options: argparse.Namespace, results: Results) -> None:
    facts = machine.facts(options.congestion)
    if options.json:
        _write_json(options, results, facts)
    if options.svg:
        options.svg.write_text(chart.svg_of(results))
    if options.page:
        text = options.page.read_text()
        options.page.write_text(page.with_results(text, tables.text_of(results), facts))


def _measure(options: argparse.Namespace, results: Results) -> None:
    times = QUICK if options.quick else Durations()
    if CLEAN in options.paths:
        what = rounds.clean_measures(times)
        repeats = options.repeats or (1 if options.quick else REPEATS)
        with ExitStack() as stack:
            planned = [CONTESTANTS[name](Bed(options.congestion)) for name in options.only]
            entered = rounds.enter_all(planned, stack, results)
            rounds.run(entered, _chosen(options, what), repeats, results, CLEAN, options.tries)
    bad = [name for name in options.paths if name in BAD_PATHS]
    only = [name for name in options.only if name in ON_BAD_PATHS]
    if bad and only:
        with ExitStack() as stack:
            _measure_bad_paths(options, times, bad, only, stack, results)


def _measure_bad_paths(
    options: argparse.Namespace,
    times: Durations,
    bad: Sequence[str],
    only: Sequence[str],
    stack: ExitStack,
    results: Results,
) -> None:
    planned = [CONTESTANTS[name](Bed(options.congestion, is_long=True)) for name in only]
    entered = rounds.enter_all(planned, stack, results)
    bare = [one for one in entered if one.name == Bridge.name]
    rounds.run(bare, _chosen(options, rounds.line_measures(times)), 1, results, LINE, options.tries)
    repeats = options.repeats or (1 if options.quick else BAD_PATH_REPEATS)
    for name in bad:
        what = rounds.bad_path_measures(BAD_PATHS[name], times)
        rounds.run(entered, _chosen(options, what), repeats, results, name, options.tries)


def _chosen(options: argparse.Namespace, what: dict[str, Measure]) -> dict[str, Measure]:
    if not options.measures:
        return what
    return {name: measure for name, measure in what.items() if name in options.measures}


def _write_json(
    options: argparse.Namespace, results: Results, facts: Mapping[str, str | int]
) -> None:
    whole = {
        "bench": "compare",
        "machine": facts,
        "options": {key: str(value) for key, value in vars(options).items()},
        "contestants": {name: one.sentence for name, one in CONTESTANTS.items()},
        "targets": [target.shown(results) for target in TARGETS],
        **results.plain(),
    }
    options.json.write_text(json.dumps(whole, indent=1) + "\n")


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    lines = "\n".join(f"  {name:12} {one.sentence}" for name, one in CONTESTANTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description=__doc__,
        epilog=f"contestants:\n{lines}\n\nDocumentation: docs/benchmarks.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="short measurements, once")
    parser.add_argument(
        "--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME",
        help="these contestants and no others",
    )  # fmt: skip
    measures = list(rounds.clean_measures(Durations()))
    parser.add_argument(
        "--measures", nargs="+", choices=measures, metavar="MEASURE",
        help=f"these and no others: {', '.join(map(repr, measures))}",
    )  # fmt: skip
    paths = [CLEAN, *BAD_PATHS]
    parser.add_argument(
        "--paths", nargs="+", choices=paths, default=paths, metavar="PATH",
        help=f"over these and no others: {', '.join(paths)}".replace("%", "%%"),
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=positive, metavar="N",
        help=f"samples of each (default: {REPEATS}, over bad paths {BAD_PATH_REPEATS})",
    )  # fmt: skip
    parser.add_argument(
        "--tries", type=positive, default=1, metavar="N",
        help="take a sample up to N times while other work on the machine uses more than "
        f"{rounds.MAX_OTHERS_CPUS} processors, and keep the least disturbed (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--congestion", default="", metavar="NAME",
        help="congestion control of all TCP, inside and under the VPNs: cubic, bbr, ... "
        "(default: the machine's)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a chart there")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="put the tables between the marks of this page"
    )
    return parser


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
