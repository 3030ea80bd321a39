"""The measurements: each runs traffic between a contestant's two stations and says what it saw."""

from __future__ import annotations

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.compare.figures import MAX_PROBES, highest_rate, percentile
from bench.compare.usage import memory_mb, usage
from tests.support.service import Service
from tests.support.traffic import PingResult, iperf3, ping
from tests.support.uwsgi import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.compare.contestant import Contestant
    from tests.support.netns import Namespace

MAX_LOSS: Final = 0.01
FIRST_GUESS: Final = 20_000.0
SPEED_UP_S: Final = 1
"""Over a long path a transfer's first second is not counted."""
_PING_EVERY_S: Final = 0.02
_SETTLE_S: Final = 0.4
"""A transfer gets up to speed before the ping begins."""
_PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_ports = itertools.cycle(range(20_000, 30_000))

Values = dict[str, float]
"""What one measurement gave: a figure's name, with its unit, and its value."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long each measurement carries traffic, in seconds; iperf3 takes whole ones."""

    tcp_s: int = 3
    udp_s: float = 0.5
    """Of each probe."""
    udp_probes: int = MAX_PROBES
    request_s: float = 1.0
    ping_s: float = 1.0
    bad_tcp_s: int = 4
    bad_request_s: float = 2.5


def tcp(one: Contestant, streams: int, *, reverse: bool, seconds: int, omit_s: int = 0) -> Values:
    """Carry TCP from station 0 to 1, or back: bits, CPU per GB, and a ping meanwhile."""
    extra = ["-P", str(streams), *(["-R"] if reverse else [])]
    if omit_s:
        extra += ["-O", str(omit_s)]
    before = usage(one.pids)
    with ThreadPoolExecutor(1) as pool:
        pinging = pool.submit(_ping_meanwhile, one, omit_s + seconds)
        result = iperf3(
            one.stations[0], one.stations[1], one.address(1), seconds=seconds, extra=extra
        )
        spent = usage(one.pids) - before
        pings = pinging.result()
    received = result["end"]["sum_received"]
    gb = received["bytes"] * (omit_s + seconds) / seconds / 1e9
    return {
        "mbit_s": received["bits_per_second"] / 1e6,
        "cpu_s_per_gb": spent.total_s / gb,
        "machine_s_per_gb": spent.machine_s / gb,
        **{f"cpu_s_per_gb of {name}": s / gb for name, s in spent.by_process_s.items()},
        **_ping_values(pings),
    }


def udp(one: Contestant, guess: float, seconds: float, probes: int = MAX_PROBES) -> Values:
    """Search the highest rate of 64-byte frames, per second, with less than 1 % lost."""
    return {"frames_s": highest_rate(lambda rate: _probe(one, rate, seconds), guess, probes)}


def requests(one: Contestant, kind: str, seconds: float) -> Values:
    """Ask and answer one byte at a time over `tcp` or `udp`."""
    port = str(next(_ports))
    with _Program(one.stations[1], "pingpong", "serve", kind, port):
        times_ns: list[int] = _run(
            one.stations[0], "pingpong", "ask", kind, port, one.address(1), str(seconds)
        )
    named = {f"{name}_us": percentile(times_ns, part) / 1e3 for name, part in _PERCENTILES.items()}
    return {"per_s": 1e9 * len(times_ns) / sum(times_ns), **named}


def idle_ping(one: Contestant, seconds: float) -> Values:
    """Ping while nothing else happens."""
    count = max(5, int(seconds / _PING_EVERY_S))
    pings = ping(one.stations[0], one.address(1), count=count, interval_s=_PING_EVERY_S)
    return _ping_values(pings)


def memory(one: Contestant) -> Values:
    """Say what the processes have in memory now."""
    by_process = memory_mb(one.pids)
    return {"mb": sum(by_process.values()), **{f"mb of {k}": v for k, v in by_process.items()}}


def _ping_meanwhile(one: Contestant, seconds: float) -> PingResult:
    time.sleep(_SETTLE_S)
    count = max(5, int((seconds - 2 * _SETTLE_S) / _PING_EVERY_S))
    return ping(one.stations[0], one.address(1), count=count, interval_s=_PING_EVERY_S)


def _ping_values(pings: PingResult) -> Values:
    if not pings.rtts_ms:
        return {"ping_lost": 1.0}
    named = {f"ping_{k}_ms": percentile(pings.rtts_ms, v) for k, v in _PERCENTILES.items()}
    return {**named, "ping_lost": 1 - pings.received / pings.sent}


def _probe(one: Contestant, rate: float, seconds: float) -> float:
    port = str(next(_ports))
    with _Program(one.stations[1], "flood", "count", port) as counter:
        sent = _run(one.stations[0], "flood", "send", port, one.address(1), str(rate), str(seconds))
        received = counter.result()["received"]
    if not sent["sent"] or received < (1 - MAX_LOSS) * sent["sent"]:
        return 0.0
    return float(received / sent["elapsed_s"])


class _Program(Service):
    """One of our small programs in a namespace, ready once the block is entered.

    A program that serves ends with its input.
    """

    takes_input = True

    def __init__(self, namespace: Namespace, module: str, *arguments: str) -> None:
        super().__init__(namespace)
        self.name = module
        self._arguments = arguments

    def command(self) -> list[str]:
        return _command(self.name, self._arguments)

    def working_directory(self) -> Path:
        return REPOSITORY

    def is_ready(self) -> bool:
        return self.log_text().startswith("ready\n")

    def result(self) -> Any:
        """Wait for its end and return what it printed."""
        self.wait_for_end()
        return json.loads(self.log_text().removeprefix("ready\n"))


def _run(namespace: Namespace, module: str, *arguments: str) -> Any:
    process = namespace.popen(_command(module, arguments), cwd=REPOSITORY)
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", f"bench.compare.{module}", *arguments]
