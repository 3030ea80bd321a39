"""The run's figures as an SVG: small bar charts with spreads, for light and for dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bench.compare.targets import TCP_1, TCP_4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.compare.results import Results
    from bench.measure import Spread

LEFT_OUT: Final = ("bridge",)
"""Without a VPN the rates are so much higher that no bar beside them could be told from zero."""
WIDTH: Final = 880
COLUMNS: Final = 2
_MARGIN: Final = 24
_GAP: Final = 32
_LABEL_WIDTH: Final = 92
_VALUE_WIDTH: Final = 62
_ROW: Final = 22
_BAR: Final = 14
_HEAD: Final = 46
_PANEL_GAP: Final = 22

_STYLE: Final = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #33383d; }
.title { font-size: 14px; font-weight: 600; fill: #16191c; }
.unit { fill: #6a7178; }
.bar { fill: #9aa7b4; }
.ours { fill: #1f77d0; }
.spread { stroke: #33383d; stroke-width: 1.5; }
.axis { stroke: #b9c0c7; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9; }
  .title { fill: #f0f3f6; }
  .unit { fill: #949ea8; }
  .bar { fill: #66717d; }
  .ours { fill: #4f9df0; }
  .spread { stroke: #e6edf3; }
  .axis { stroke: #444c56; }
}
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One bar chart: a figure of every contestant."""

    title: str
    unit: str
    measures: Sequence[str]
    figure: str
    scale: float = 1.0
    digits: int = 0

    def spreads(self, results: Results) -> list[tuple[str, Spread]]:
        """Return the figure of every contestant that has one."""
        found = [
            (name, results.spread(name, self.measures, self.figure))
            for name in results.contestants()
            if name not in LEFT_OUT
        ]
        return [(name, spread) for name, spread in found if spread]


PANELS: Final = (
    Panel("TCP, 1 stream", "Mbit/s, more is better", TCP_1, "mbit_s"),
    Panel("TCP, 4 streams", "Mbit/s, more is better", TCP_4, "mbit_s"),
    Panel(
        "64-byte UDP frames", "1000 frames/s, more is better", ("udp64",), "frames_s", 1e-3, 1
    ),
    Panel("CPU, all processes", "s/GB, less is better", TCP_1, "cpu_s_per_gb", digits=1),
    Panel("Request and answer over TCP, p50", "us, less is better", ("rr tcp",), "p50_us"),
    Panel("Ping under full TCP load, p50", "ms, less is better", TCP_1, "ping_p50_ms", digits=1),
)  # fmt: skip


def svg_of(results: Results, panels: Sequence[Panel] = PANELS) -> str:
    """Return the chart: a panel for each of `panels` for which there are figures."""
    filled = [(panel, spreads) for panel in panels if (spreads := panel.spreads(results))]
    rows = max((len(spreads) for _, spreads in filled), default=0)
    panel_height = _HEAD + rows * _ROW
    lines = -(-len(filled) // COLUMNS)
    height = 2 * _MARGIN + max(0, lines * (panel_height + _PANEL_GAP) - _PANEL_GAP)
    root = Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=f"{WIDTH}",
        height=f"{height}",
        role="img",
    )
    SubElement(root, "title").text = "vpnws beside other VPNs: medians, with quartiles"
    SubElement(root, "style").text = _STYLE
    panel_width = (WIDTH - 2 * _MARGIN - (COLUMNS - 1) * _GAP) / COLUMNS
    for number, (panel, spreads) in enumerate(filled):
        line, column = divmod(number, COLUMNS)
        x = _MARGIN + column * (panel_width + _GAP)
        y = _MARGIN + line * (panel_height + _PANEL_GAP)
        group = SubElement(root, "g", transform=f"translate({x:g} {y:g})")
        _draw(group, panel, spreads, panel_width)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _draw(
    group: Element, panel: Panel, spreads: Sequence[tuple[str, Spread]], width: float
) -> None:
    _text(group, panel.title, 0, 14, "title")
    _text(group, panel.unit, 0, 32, "unit")
    span = width - _LABEL_WIDTH - _VALUE_WIDTH
    highest = max(spread.high for _, spread in spreads) or 1.0
    for number, (name, spread) in enumerate(spreads):
        top = _HEAD + number * _ROW
        middle = top + _BAR / 2
        low, median, high = (
            _LABEL_WIDTH + span * value / highest
            for value in (spread.low, spread.median, spread.high)
        )
        _text(group, name, _LABEL_WIDTH - 8, middle + 4, "", anchor="end")
        ours = " ours" if name.startswith("vpnws") else ""
        place = {"x": f"{_LABEL_WIDTH}", "y": f"{top}", "class": f"bar{ours}", "rx": "2"}
        size = {"width": f"{median - _LABEL_WIDTH:.1f}", "height": f"{_BAR}"}
        SubElement(group, "rect", place | size)
        _line(group, low, middle, high, middle, "spread")
        shown = f"{spread.median * panel.scale:,.{panel.digits}f}"
        _text(group, shown, max(median, high) + 6, middle + 4, "")
    bottom = _HEAD + (len(spreads) - 1) * _ROW + _BAR + 3
    _line(group, _LABEL_WIDTH, _HEAD - 3, _LABEL_WIDTH, bottom, "axis")


def _text(group: Element, text: str, x: float, y: float, kind: str, anchor: str = "start") -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    SubElement(group, "text", {**place, **({"class": kind} if kind else {})}).text = text


def _line(group: Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    SubElement(group, "line", {**ends, "class": kind})
