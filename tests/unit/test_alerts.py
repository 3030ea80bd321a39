"""The dashboard and the alert rules ask for metrics that there are; the rules fire in time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.markdown import blocks
from tests.support.promtool import promtool
from tests.support.sources import ROOT
from vpnws.control.events import Event
from vpnws.control.metrics.scrape import SERVER_METRICS
from vpnws.control.metrics.table import HISTOGRAMS, METRICS
from vpnws.switch.drop import Drop
from vpnws.switch.queue.delay import DELAY_BOUNDS_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES: Final = ROOT / "deploy/prometheus-rules.yml"
DASHBOARD: Final = ROOT / "deploy/grafana-dashboard.json"
MADE_UP: Final = ROOT / "tests/unit/prometheus-rules-test.yml"
FILES: Final = (RULES, DASHBOARD, MADE_UP)
METRIC: Final = re.compile(r"\bvpnws_[a-z_]+")
SELECTOR: Final = re.compile(r"\b(vpnws_[a-z_]+)\{([^}]*)\}")


def served() -> dict[str, set[str]]:
    """Return the names of all series that a scrape can have, with their labels."""
    found = {name: set(filter(None, labels.split(", "))) for name, _, labels, _ in SERVER_METRICS}
    found |= {metric.full_name: set(metric.labels) for metric in METRICS}
    for histogram in HISTOGRAMS:
        for suffix in ("bucket", "count", "sum"):
            found[f"{histogram.name}_{suffix}"] = {*histogram.labels, "le"}
    return found


def selectors(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (metric, label, value) for every label that a file asks for."""
    for name, inner in SELECTOR.findall(path.read_text().replace('\\"', '"')):
        for label, value in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', inner):
            yield name, label, value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
class TestNames:
    def test_every_metric_that_is_asked_for_is_served(self, path: Path) -> None:
        asked = set(METRIC.findall(path.read_text()))
        assert asked
        assert asked <= set(served())

    def test_each_has_the_labels_that_are_asked_for(self, path: Path) -> None:
        names = served()
        for name, label, _ in selectors(path):
            assert label in names[name] | {"instance", "job"}, (name, label)

    def test_labels_have_values_that_there_are(self, path: Path) -> None:
        known = {
            "reason": {reason.value for reason in Drop},
            "event": {event.value for event in Event},
            "le": set(map(str, DELAY_BOUNDS_S)),
            "direction": {"in", "out"},
        }
        for name, label, value in selectors(path):
            assert set(value.split("|")) <= known.get(label, {value, *value.split("|")}), name


class TestRules:
    def test_promtool_accepts_them(self) -> None:
        done = promtool("check", "rules", str(RULES))
        assert done.returncode == 0, done.stdout + done.stderr

    def test_each_fires_when_it_must_and_none_when_all_is_well(self) -> None:
        done = promtool("test", "rules", str(MADE_UP))
        assert done.returncode == 0, done.stdout + done.stderr
        alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
        assert alerts == set(re.findall(r'alertname="(\w+)"', MADE_UP.read_text()))

    def test_each_says_what_to_do(self) -> None:
        text = RULES.read_text()
        assert text.count("- alert:") == text.count("runbook: >-") == text.count("summary:")


class TestDashboard:
    @pytest.fixture
    def dashboard(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
        return loaded

    def test_it_reads_any_prometheus(self, dashboard: dict[str, Any]) -> None:
        variables = {each["name"]: each for each in dashboard["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource"
        sources = {
            target["datasource"]["uid"]
            for panel in dashboard["panels"]
            for target in panel.get("targets", ())
        }
        assert sources == {"${datasource}"}

    def test_no_panel_covers_another(self, dashboard: dict[str, Any]) -> None:
        cells: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            covered = {
                (column, line)
                for column in range(at["x"], at["x"] + at["w"])
                for line in range(at["y"], at["y"] + at["h"])
            }
            assert not covered & cells, panel["title"]
            assert at["x"] + at["w"] <= 24
            cells |= covered

    def test_every_expression_is_one_of_prometheus(
        self, dashboard: dict[str, Any], tmp_path: Path
    ) -> None:
        """Each becomes a rule, because promtool checks those."""
        expressions = [
            target["expr"].replace("$__rate_interval", "5m")
            for panel in dashboard["panels"]
            for target in panel.get("targets", ())
        ]
        rules = [{"record": f"r{at}", "expr": each} for at, each in enumerate(expressions)]
        path = tmp_path / "rules.yml"
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        done = promtool("check", "rules", str(path))
        assert done.returncode == 0, done.stdout + done.stderr


class TestPage:
    def test_its_configuration_of_prometheus_is_one(self, tmp_path: Path) -> None:
        page = (ROOT / "docs/metrics.md").read_text()
        (block,) = [each for each in blocks(page) if each.language == "yaml"]
        path = tmp_path / "prometheus.yml"
        path.write_text(block.text.replace("/etc/prometheus/vpnws-rules.yml", str(RULES)))
        done = promtool("check", "config", "--syntax-only", str(path))
        assert done.returncode == 0, done.stdout + done.stderr
