"""The comparison's own arithmetic: percentiles, the search for a rate, usage, tables, chart."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from bench.compare import __main__ as program
from bench.compare import tables
from bench.compare.chart import PANELS, svg_of
from bench.compare.figures import MAX_PROBES, highest_rate, percentile
from bench.compare.flood import PAYLOAD_BYTES
from bench.compare.results import CLEAN, LINE, Results, Sample
from bench.compare.targets import TARGETS, TCP_1, Target
from bench.compare.usage import Usage, busy_s, memory_mb, usage

if TYPE_CHECKING:
    from pathlib import Path

    from bench.compare.measures import Values

SVG = "{http://www.w3.org/2000/svg}"


def results_of(**rates: list[float]) -> Results:
    """Return results with TCP rates by contestant, a round each."""
    samples = [
        Sample(name.replace("_", "-"), CLEAN, number, "tcp1 up", {"mbit_s": rate})
        for name, values in rates.items()
        for number, rate in enumerate(values)
    ]
    return Results(samples)


class TestPercentile:
    @pytest.mark.parametrize(("part", "value"), [(0, 1), (0.5, 5), (0.95, 10), (1, 10), (0.11, 2)])
    def test_is_the_nearest_rank(self, part: float, value: float) -> None:
        assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], part) == value

    def test_of_one_is_that_one(self) -> None:
        assert percentile([7], 0.99) == 7

    def test_of_nothing_is_none(self) -> None:
        with pytest.raises(ValueError, match="no values"):
            percentile([], 0.5)


class Road:
    """Passes what is asked up to a capacity; the sender comes no further than its own."""

    def __init__(self, capacity: float, sender: float = 1e9) -> None:
        self.capacity, self.sender = capacity, sender
        self.probed: list[float] = []

    def __call__(self, rate: float) -> float:
        self.probed.append(rate)
        sent = min(rate, self.sender)
        return sent if sent <= self.capacity else 0.0


class TestHighestRate:
    @pytest.mark.parametrize("guess", [1_000.0, 50_000.0, 57_000.0, 900_000.0])
    def test_comes_near_the_capacity_from_anywhere(self, guess: float) -> None:
        road = Road(57_000)
        assert 0.9 * road.capacity <= highest_rate(road, guess) <= road.capacity
        assert len(road.probed) <= MAX_PROBES

    def test_ends_where_the_sender_does(self) -> None:
        road = Road(1e9, sender=30_000)
        assert highest_rate(road, 20_000) == 30_000
        assert max(road.probed) < 4 * 30_000

    def test_finds_nothing_where_nothing_passes(self) -> None:
        road = Road(0)
        assert highest_rate(road, 20_000) == 0
        assert len(road.probed) <= MAX_PROBES


def test_a_small_frame_has_64_bytes() -> None:
    assert PAYLOAD_BYTES + 8 + 20 + 14 == 64


class TestUsage:
    def test_busy_is_all_but_idle_waiting_and_stolen_time(self) -> None:
        text = "cpu  100 10 50 9000 800 5 35 400 70 0\ncpu0 1 2 3\n"
        assert busy_s(text) == 200 / os.sysconf("SC_CLK_TCK")

    def test_a_difference_is_of_each_process_and_of_the_rest(self) -> None:
        spent = Usage({"a": 3.0, "b": 2.0}, 1.0, 10.0) - Usage({"a": 1.0, "b": 2.0}, 0.5, 6.0)
        assert spent.by_process_s == {"a": 2.0, "b": 0.0}
        assert spent.total_s == 2.0
        assert spent.others_s == 1.5

    def test_this_process_uses_both(self) -> None:
        pids = {"this": [os.getpid()]}
        assert usage(pids).by_process_s["this"] > 0
        assert memory_mb(pids)["this"] > 1


class TestTargets:
    target = Target("rate", "vpnws", ("a", "b"), TCP_1, "mbit_s", 2.0)

    def test_a_ratio_is_of_medians_against_the_best(self) -> None:
        results = results_of(vpnws=[10, 30, 20], a=[5, 5, 9], b=[4])
        assert self.target.ratio(results) == 4.0
        assert self.target.is_met(results)

    def test_of_delays_the_best_is_the_least(self) -> None:
        target = Target("delay", "vpnws", ("a", "b"), TCP_1, "mbit_s", 0.5, more_is_better=False)
        results = results_of(vpnws=[3], a=[5], b=[4])
        assert target.ratio(results) == 0.75
        assert target.is_met(results) is False

    def test_what_was_not_measured_is_neither_met_nor_missed(self) -> None:
        assert self.target.is_met(results_of(vpnws=[1])) is None
        assert self.target.shown(results_of(a=[1]))[""] == "not measured"

    def test_one_that_stands_with_another_needs_both(self) -> None:
        other = Target("more", "vpnws", ("a",), TCP_1, "mbit_s", 9.0)
        both = Target("rate", "vpnws", ("a",), TCP_1, "mbit_s", 2.0, along_with=other)
        assert both.is_met(results_of(vpnws=[3], a=[1])) is False
        assert both.is_met(results_of(vpnws=[9], a=[1])) is True
        assert "9.00 x the bits" in both.shown(results_of(vpnws=[9], a=[1]))["ratio"]

    def test_all_of_them_name_contestants_and_figures_that_there_are(self) -> None:
        for target in TARGETS:
            assert {target.ours, *target.others} <= set(program.CONTESTANTS)


def everything() -> Results:
    """Return results with a sample of each measurement on each path."""
    values: Values = {
        "mbit_s": 1234.5,
        "frames_s": 65_000.0,
        "cpu_s_per_gb": 4.2,
        "machine_s_per_gb": 5.0,
        "cpu_s_per_gb of nginx server": 1.5,
        "mb": 80.0,
        "mb of nginx server": 8.0,
        "per_s": 5000.0,
        **{f"{part}_us": 180.0 for part in ("p50", "p95", "p99")},
        **{f"ping_{part}_ms": 2.5 for part in ("p50", "p95", "p99")},
        "ping_lost": 0.02,
        "line_cpus": 0.2,
        "others_cpus": 0.1,
    }
    names = ("tcp1 up", "tcp1 down", "tcp4 up", "udp64", "rr tcp", "rr udp", "ping", "memory")
    samples = [
        Sample(contestant, path, 0, name, values)
        for contestant in ("vpnws", "openvpn-tcp", "bridge")
        for path in (CLEAN, LINE, "loss-1%")
        for name in names
    ]
    return Results(samples, {"tinc": "not installed: tincd"}, ["vpnws, clean, ping: no answer"])


class TestTables:
    def test_say_everything(self) -> None:
        text = tables.text_of(everything())
        for said in ("1,234", "65", "4.20", "nginx server", "loss-1%", "delay line alone"):
            assert said in text
        assert "skipped tinc: not installed: tincd" in text
        assert "failed: vpnws, clean, ping: no answer" in text
        assert text.count(" met") + text.count(" missed") + text.count("not measured") == len(
            TARGETS
        )

    def test_say_a_spread_where_there_is_one(self) -> None:
        text = tables.text_of(results_of(vpnws=[1, 2, 3, 4, 5]))
        assert "3 (2..4)" in text

    def test_of_nothing_are_short(self) -> None:
        assert tables.text_of(Results(skipped={"tinc": "why"})) == "skipped tinc: why"


class TestChart:
    def test_is_well_formed_and_has_a_bar_for_each_figure(self) -> None:
        root = ElementTree.fromstring(svg_of(everything()))
        assert root.tag == f"{SVG}svg"
        # The bare bridge has none.
        assert len(root.findall(f".//{SVG}rect")) == 2 * len(PANELS)
        texts = [element.text for element in root.iter(f"{SVG}text")]
        assert {panel.title for panel in PANELS} <= set(texts)
        assert "1,234" in texts

    def test_stays_within_its_box(self) -> None:
        root = ElementTree.fromstring(svg_of(everything()))
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        for group in root.findall(f"{SVG}g"):
            left, top = map(float, re.findall(r"[\d.]+", group.attrib["transform"]))
            for bar in group.findall(f"{SVG}rect"):
                place = {name: float(bar.attrib[name]) for name in ("x", "y", "width", "height")}
                assert left + place["x"] + place["width"] < width
                assert top + place["y"] + place["height"] < height

    def test_of_nothing_is_a_chart_too(self) -> None:
        assert ElementTree.fromstring(svg_of(Results())).tag == f"{SVG}svg"

    def test_keeps_a_name_that_is_no_markup(self) -> None:
        odd = results_of(**{"<a&b>": [1.0]})
        assert "<a&b>" in [one.text for one in ElementTree.fromstring(svg_of(odd)).iter()]


class TestProgram:
    def test_its_help_names_every_contestant(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            program.main(["--help"])
        told = capsys.readouterr().out
        assert all(name in told for name in program.CONTESTANTS)

    def test_an_unknown_contestant_is_refused(self) -> None:
        with pytest.raises(SystemExit) as refused:
            program.main(["--only", "carrier-pigeon"])
        assert refused.value.code == 2

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--congestion", "foo"], "has no 'foo'"),
            (["--json", "/nowhere/x.json"], "no directory /nowhere"),
            (["--page", "README.md"], "no place for results"),
            (["--page", "docs/benchmarks.md", "--quick"], "for whole runs"),
            (["--repeats", "0"], "at least 1"),
            (["--tries", "x"], "at least 1"),
        ],
    )
    def test_what_cannot_be_is_said_before_anything_is_measured(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            program.main(arguments)
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err

    def test_without_root_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert program.main(["--json", str(tmp_path / "none")]) == 1
        assert "needs root" in capsys.readouterr().err
