"""What vpnws wants to reach against the others, as ratios of medians of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.compare.results import Results

TCP_1: Final = ("tcp1 up", "tcp1 down")
TCP_4: Final = ("tcp4 up", "tcp4 down")
_OPENVPN: Final = ("openvpn-tcp", "openvpn-udp")


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of `ours` over the same figure of the best of `others`."""

    name: str
    ours: str
    others: Sequence[str]
    measures: Sequence[str]
    figure: str
    wanted: float
    more_is_better: bool = True
    along_with: Target | None = None
    """Another one that has to be met at the same time."""

    def ratio(self, results: Results) -> float | None:
        """Return the ratio, None where a side was not measured."""
        mine = results.spread(self.ours, self.measures, self.figure)
        found = [results.spread(one, self.measures, self.figure) for one in self.others]
        theirs = [spread.median for spread in found if spread]
        if not mine or not theirs:
            return None
        best = max(theirs) if self.more_is_better else min(theirs)
        return mine.median / best if best else None

    def is_met(self, results: Results) -> bool | None:
        """Return whether the ratio is as wanted, None where it is unknown."""
        ratio = self.ratio(results)
        if ratio is None:
            return None
        met = ratio >= self.wanted if self.more_is_better else ratio <= self.wanted
        return met and (self.along_with is None or self.along_with.is_met(results) is True)

    def shown(self, results: Results) -> dict[str, str]:
        """Return the target's line of the table."""
        ratio = self.ratio(results)
        if self.along_with:
            other = self.along_with.ratio(results)
            carried = f" at {other:.2f} x the bits" if other is not None else ""
        else:
            carried = ""
        return {
            "target": self.name,
            "ours": self.ours,
            "against": " or ".join(self.others),
            "wanted": f"{'>=' if self.more_is_better else '<='} {self.wanted:.2f}",
            "ratio": f"{ratio:.2f}{carried}" if ratio is not None else "-",
            "": {True: "met", False: "missed", None: "not measured"}[self.is_met(results)],
        }


_SIX_TIMES = Target(
    "TCP, 1 stream, against OpenVPN-TCP", "vpnws", _OPENVPN[:1], TCP_1, "mbit_s", 6.0
)

TARGETS: Final = (
    Target("TCP, 1 stream", "vpnws", _OPENVPN, TCP_1, "mbit_s", 6.0),
    Target("TCP, 4 streams", "vpnws", _OPENVPN, TCP_4, "mbit_s", 6.0),
    Target("64-byte UDP", "vpnws", (*_OPENVPN, "tinc"), ("udp64",), "frames_s", 2.0),
    Target(
        "request/response p50, TCP", "vpnws", _OPENVPN[:1], ("rr tcp",), "p50_us", 1.6,
        more_is_better=False,
    ),
    Target(
        "ping p50 under TCP load", "vpnws", _OPENVPN[:1], TCP_1, "ping_p50_ms", 1 / 6,
        more_is_better=False, along_with=_SIX_TIMES,
    ),
    Target(
        "CPU s/GB, all processes", "vpnws", _OPENVPN, TCP_1, "cpu_s_per_gb", 1 / 6,
        more_is_better=False,
    ),
    Target("TCP, plain to offload", "vpnws-plain", _OPENVPN[:1], ("tcp1 up",), "mbit_s", 1.5),
    Target("TCP, different workers", "vpnws-apart", ("vpnws",), TCP_1, "mbit_s", 0.8),
)  # fmt: skip
