"""How long pings wait and how fast bulk flows are on a slow port, for each kind of queue.

All time is simulated (`bench.simulated`), so two runs say the same.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.program import make_parser
from bench.simulated import MSS_BYTES, SUPER_BYTES, Bottleneck, Bulk, Case, Pings, Simulation
from tests.support.frames import ECT_0, NOT_ECT, TCP, ipv4, tcp
from vpnws.server.port.link import BITE_BYTES
from vpnws.switch.drop import Drop
from vpnws.switch.queue.flow import bucket_of
from vpnws.wire.headers import flow_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POLICIES: Final = ("fifo", "flows", "flows, codel", "flows, codel, ecn")
LINES: Final = ((10.0, 20.0), (100.0, 20.0), (1000.0, 2.0))
"""Mbit/s of a line, and ms of its round trip when nothing waits."""
_SETTLING: Final = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case; the first fifth of its time, to settle in, counts for drops only."""

    ping_waits_s: list[float]
    bulk_waits_s: list[float]
    """One for each item that was acknowledged, of the whole time."""
    bulk_bytes: list[int]
    """One for each bulk flow."""
    drops: dict[Drop, int]
    marked: int

    def shown(self, case: Case) -> dict[str, str]:
        """Return the cells of the case's row."""
        waits = (("ping", self.ping_waits_s, (50, 95, 99)), ("bulk", self.bulk_waits_s, (50, 95)))
        bulk = sum(self.bulk_bytes) * 8 / 1e6 / (case.seconds * (1 - _SETTLING))
        return {
            "Mbit/s": f"{case.mbit_s:,.0f}",
            "item": f"{case.item_bytes:,}",
            "queue": case.policy,
            **{
                f"{name} p{percent} ms": f"{wait_ms(waits_s, percent):,.1f}"
                for name, waits_s, percents in waits
                for percent in percents
            },
            "bulk Mbit/s": f"{bulk:,.1f}",
            "egress_full": f"{self.drops.get(Drop.EGRESS_FULL, 0):,}",
            "standing_queue": f"{self.drops.get(Drop.CODEL, 0):,}",
            "marks": f"{self.marked:,}",
        }


def wait_ms(waits_s: list[float], percent: int) -> float:
    """Return a percentile of the waits, in ms."""
    return statistics.quantiles(waits_s, n=100)[percent - 1] * 1e3


def simulate(case: Case) -> Result:
    """Run one case."""
    sim = Simulation()
    port = Bottleneck(sim, case)
    headers = _headers(case.flows + 1, ecn="ecn" in case.policy)
    pings = Pings(sim, port, next(headers))
    bulk = [Bulk(sim, port, case, header) for header in headers]
    sim.at(0.0, pings.send)
    for number, one in enumerate(bulk):
        sim.at(0.001 + 0.05 * number, one.start)
    sim.run(case.seconds * _SETTLING)
    settled, before = len(pings.waits_s), [one.received_bytes for one in bulk]
    sim.run(case.seconds)
    return Result(
        pings.waits_s[settled:],
        list(itertools.chain.from_iterable(one.waits_s for one in bulk)),
        [one.received_bytes - start for one, start in zip(bulk, before, strict=True)],
        dict(port.queue.drops),
        port.queue.counts.marked,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation as the command line says."""
    parser = make_parser("queueing", __doc__)
    parser.add_argument("--flows", type=int, default=4, help="bulk flows beside the ping")
    parser.add_argument("--seconds", type=float, default=10.0, help="simulated time of a case")
    parser.add_argument("--socket-bytes", type=int, default=16_384, help="what the socket takes")
    parser.add_argument(
        "--bite-bytes", type=int, default=BITE_BYTES, help="what the link takes at once"
    )
    options = parser.parse_args(arguments)
    rows = []
    cases = itertools.product(LINES, (MSS_BYTES, SUPER_BYTES), POLICIES)
    for (mbit_s, rtt_ms), item_bytes, policy in cases:
        case = Case(
            mbit_s,
            options.flows,
            item_bytes,
            policy,
            rtt_s=rtt_ms / 1e3,
            socket_bytes=options.socket_bytes,
            bite_bytes=options.bite_bytes,
            # A fast line shows as much in less time.
            seconds=options.seconds * min(1.0, 300.0 / mbit_s),
        )
        rows.append(simulate(case).shown(case))
    print(report.table(rows))
    if options.json:
        report.write_json(options.json, "queueing", "as named", rows)


def _headers(count: int, *, ecn: bool) -> Iterator[bytes]:
    """Yield Ethernet, IP and TCP headers of flows in buckets of their own."""
    taken: set[int] = set()
    for source in range(40_000, 60_000):
        segment = tcp(ports=(source, 0))
        header = ipv4(segment, protocol=TCP, ports=(), service=ECT_0 if ecn else NOT_ECT)
        bucket = bucket_of(flow_key(header, 0))
        if bucket not in taken:
            taken.add(bucket)
            yield header
        if len(taken) == count:
            return


if __name__ == "__main__":
    main()
