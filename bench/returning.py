"""How soon stations are back after their server was away, and how often they ask meanwhile.

The waits are those of the client's own code. All time is simulated, and the dice have a seed, so
two runs say the same.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.program import make_parser
from vpnws.client.program.backoff import Backoff
from vpnws.errors import ClosedError, ConnectError
from vpnws.wire.websocket import SERVICE_RESTART

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STATIONS: Final = 1000
OUTAGES_S: Final = (2.0, 20.0, 300.0, 1200.0)
"""How long the server is away: a reload, a restart, a reboot, a fault."""
CONNECTED_S: Final = 3600.0
"""How long the stations had been connected before."""
SETTLED_S: Final = 10.0
"""The first waits are short; afterwards attempts come at an even rate."""


@dataclass(frozen=True, slots=True)
class Return:
    """What came of one outage."""

    outage_s: float
    back_s: list[float]
    """When each station was back, in seconds after the server, in order."""
    attempts_s: list[float]
    """When attempts were made while the server was away, in seconds after it went, in order."""

    def share_within(self, duration_s: float) -> float:
        """Return which share of the stations was back `duration_s` after the server."""
        return sum(back_s <= duration_s for back_s in self.back_s) / len(self.back_s)

    def peak_per_s(self, after_s: float = 0.0) -> int:
        """Return the most attempts in any whole second, from `after_s` on."""
        return _busiest(time_s for time_s in self.attempts_s if time_s >= after_s)

    def peak_of_return_per_s(self) -> int:
        """Return how many stations were back in the busiest second."""
        return _busiest(self.back_s)


AWAY: Final = ConnectError("the server is away")
RESTART: Final = ClosedError("the server restarts", SERVICE_RESTART)


def simulate(
    outage_s: float, stations: int = STATIONS, seed: int = 1, *, error: ConnectError = AWAY
) -> Return:
    """Let `stations` lose their server at once by `error`, and ask for it until it is back."""
    dice = random.Random(seed)
    due: list[tuple[float, int, Backoff]] = []
    for number in range(stations):
        backoff = Backoff(dice.random)
        backoff.connected(-CONNECTED_S)
        due.append((backoff.next_delay_s(0.0, error), number, backoff))
    heapq.heapify(due)
    back_s: list[float] = []
    attempts_s: list[float] = []
    while due:
        now, number, backoff = heapq.heappop(due)
        if now >= outage_s:
            back_s.append(now - outage_s)
            continue
        attempts_s.append(now)
        heapq.heappush(due, (now + backoff.next_delay_s(now, AWAY), number, backoff))
    return Return(outage_s, back_s, attempts_s)


def row(name: str, result: Return) -> dict[str, str]:
    """Return the cells of one outage's row."""
    middle_s = result.back_s[len(result.back_s) // 2]
    return {
        "away s": name,
        "back p50 s": f"{middle_s:.1f}",
        "back all s": f"{result.back_s[-1]:.1f}",
        "within 5 s": f"{result.share_within(5.0):.0%}",
        "attempts/s peak": f"{result.peak_per_s():,}",
        "attempts/s later": f"{result.peak_per_s(SETTLED_S):,}",
        "back/s peak": f"{result.peak_of_return_per_s():,}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation as the command line says."""
    parser = make_parser("returning", __doc__)
    parser.add_argument("--stations", type=int, default=STATIONS, help="how many there are")
    options = parser.parse_args(arguments)
    rows = [row("1012", simulate(0.0, options.stations, error=RESTART))]
    rows += [row(f"{away_s:,.0f}", simulate(away_s, options.stations)) for away_s in OUTAGES_S]
    print(report.table(rows))
    if options.json:
        report.write_json(options.json, "returning", "as named", rows)


def _busiest(times_s: Iterable[float]) -> int:
    """Return how many of the times are in the fullest whole second."""
    return max(Counter(map(int, times_s)).values(), default=0)


if __name__ == "__main__":
    main()
