"""Brings about outages one station each, all at once, and says what a user sees of them.

A real VPN in network namespaces: nginx with TLS, uWSGI, real TAPs, HAProxy, dnsmasq. Each station
pings a peer ten times a second, and most have a TCP connection through the VPN. Needs root.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from bench.outages.bed import Bed
from bench.outages.outages import OUTAGES, SERVER_GONE
from bench.program import make_parser, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.outages.outages import Outage, Seen

IDLE_S: Final = 50.0
"""The proxy cuts connections on which nothing has passed for this long."""
SHORT: Final = {"vpnws-ping-every": "2", "vpnws-dead-after": "5"}
"""In the short run the server gives up a silent station soon, as in the long run in two minutes."""


def observe(*, short: bool) -> dict[str, Seen]:
    """Bring about all outages at once, and then lose the server; return what was seen, by name."""
    count, settings = len(OUTAGES), SHORT if short else {}
    with (
        Bed(count + 1, idle_s=IDLE_S, placeholders=settings) as bed,
        ThreadPoolExecutor(count) as pool,
    ):

        def away_s(outage: Outage) -> float:
            return outage.short_s if short else outage.away_s

        waiting = {
            name: pool.submit(outage.bring_about, bed, index, away_s(outage))
            for index, (name, outage) in enumerate(OUTAGES.items(), start=1)
        }
        seen = {name: each.result() for name, each in waiting.items()}
        last = SERVER_GONE.bring_about(bed, count + 1, away_s(SERVER_GONE))
        return {**seen, "server gone": last}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do as the command line says."""
    parser = make_parser("outages", __doc__)
    parser.add_argument("--short", action="store_true", help="each as short as in the tests")
    options = parser.parse_args(arguments)
    seen = list(observe(short=options.short).values())
    tell(options, "outages", "seconds", seen)
    print("\n".join(["", *(each.sentences() for each in seen)]))


if __name__ == "__main__":
    main()
