"""What has passed a network in one process since it began, of the ports that have gone too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from operator import add
from typing import TYPE_CHECKING, Final

from vpnws.switch.queue.delay import no_delays

if TYPE_CHECKING:
    from vpnws.switch.drop import Drop
    from vpnws.switch.fdb import Fdb
    from vpnws.switch.port import Port

MAX_PAST_NETWORKS: Final = 1024
"""Totals of networks that have no port here any more; past that, those of the network that went
first are forgotten, and begin at zero if it comes again."""


@dataclass(slots=True)
class Totals:
    """Counts that only grow."""

    rx_frames: int = 0
    """What came in from ports."""
    rx_bytes: int = 0
    tx_frames: int = 0
    """What was queued for ports and not dropped later."""
    tx_bytes: int = 0
    marked: int = 0
    """Packets marked CE instead of dropped."""
    drops: Counter[Drop] = field(default_factory=Counter)
    delays: list[int] = field(default_factory=no_delays)
    """Frames that waited in a queue, by bucket of their wait (see queue/delay)."""
    waited_s: float = 0.0
    """How long they waited, together."""
    macs_refused: int = 0
    """How often a MAC was not kept because a table was full."""
    macs_moved: int = 0
    """How often a MAC came to a port here from another port."""
    macs_evicted: int = 0
    """How often a quiet MAC gave way because its port was at its limit."""

    def add_port(self, port: Port) -> None:
        """Add what has passed `port`."""
        counts = port.egress.counts
        self.rx_frames += port.rx_frames
        self.rx_bytes += port.rx_bytes
        self.tx_frames += port.tx_frames
        self.tx_bytes += port.tx_bytes
        self.marked += counts.marked
        self.drops.update(port.drops)
        self.delays = list(map(add, self.delays, counts.delays))
        self.waited_s += counts.waited_s

    def add_fdb(self, fdb: Fdb) -> None:
        """Add what has happened in `fdb`."""
        counts = fdb.known.counts
        self.macs_refused += counts.refused
        self.macs_moved += counts.moved
        self.macs_evicted += counts.evicted

    def copy(self) -> Totals:
        """Return totals that stay as they are when these grow."""
        return replace(self, drops=self.drops.copy())


class PastTotals:
    """The totals of networks that have no port here, by name."""

    __slots__ = ("_totals",)

    def __init__(self) -> None:
        """No network has gone yet."""
        self._totals: dict[str, Totals] = {}

    def keep(self, name: str, totals: Totals) -> None:
        """Keep the totals of a network whose last port has gone."""
        if len(self._totals) >= MAX_PAST_NETWORKS:
            del self._totals[next(iter(self._totals))]
        self._totals[name] = totals

    def take(self, name: str) -> Totals:
        """Return the totals to go on with for a network that has a port again."""
        return self._totals.pop(name, None) or Totals()

    def items(self) -> list[tuple[str, Totals]]:
        """Return all names with their totals."""
        return list(self._totals.items())
