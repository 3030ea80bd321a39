"""Rates of ports: the differences between two looks at their counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from vpnws.control.views import PortView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Rate(Struct, frozen=True, kw_only=True):
    """What passed a port per second since the look before."""

    port: PortView
    rx_bytes_per_s: float = 0.0
    tx_bytes_per_s: float = 0.0
    rx_frames_per_s: float = 0.0
    tx_frames_per_s: float = 0.0
    drops_per_s: float = 0.0

    @property
    def total_bytes_per_s(self) -> float:
        """Both directions together."""
        return self.rx_bytes_per_s + self.tx_bytes_per_s


class Sampler:
    """Remembers the counters of the look before."""

    def __init__(self) -> None:
        """Nothing was looked at yet."""
        self._before: dict[str, PortView] = {}
        self._before_s = 0.0

    def look(self, ports: Iterable[PortView], now_s: float) -> list[Rate]:
        """Return the rates of `ports`, looked at `now_s`; those of a new port are of its life."""
        now = {port.id: port for port in ports}
        rates = [self._rate(port, now_s) for port in now.values()]
        self._before, self._before_s = now, now_s
        return rates

    def _rate(self, port: PortView, now_s: float) -> Rate:
        before = self._before.get(port.id)
        if before is None and not self._before:
            # The first look of all has nothing to compare with.
            return Rate(port=port)
        since_s = self._before_s if before is not None else port.since_s
        # Two looks within the same instant would divide by nothing.
        time_s = max(now_s - since_s, 0.001)
        old, new = _counters(before), _counters(port)
        per_s = {f"{name}_per_s": (new[name] - old.get(name, 0)) / time_s for name in new}
        return Rate(port=port, **per_s)


def _counters(port: PortView | None) -> dict[str, int]:
    if port is None:
        return {}
    traffic = port.traffic
    return {
        "rx_bytes": traffic.rx_bytes,
        "tx_bytes": traffic.tx_bytes,
        "rx_frames": traffic.rx_frames,
        "tx_frames": traffic.tx_frames,
        "drops": sum(port.drops.values()),
    }


ORDERS: Final[dict[str, tuple[str, Callable[[Rate], Any]]]] = {
    "t": ("total", lambda rate: -rate.total_bytes_per_s),
    "r": ("received", lambda rate: -rate.rx_bytes_per_s),
    "s": ("sent", lambda rate: -rate.tx_bytes_per_s),
    "p": ("packets", lambda rate: -(rate.rx_frames_per_s + rate.tx_frames_per_s)),
    "d": ("drops", lambda rate: -rate.drops_per_s),
    "b": ("backlog", lambda rate: -rate.port.queued_bytes),
    "w": ("who", lambda rate: (rate.port.who.user, rate.port.who.dn, rate.port.who.addr)),
    "n": ("network", lambda rate: (rate.port.network, rate.port.id)),
}
"""A key of the keyboard -> the order that it chooses, and how to sort by it."""


def ordered(rates: Iterable[Rate], key: str) -> list[Rate]:
    """Return `rates` in the order of a key of ORDERS; equal ones by their ids."""
    sort_by = ORDERS[key][1]
    return sorted(rates, key=lambda rate: (sort_by(rate), rate.port.id))
