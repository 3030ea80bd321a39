"""Metrics: what all processes count, in a form that promtool finds nothing wrong with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import frame, mac
from tests.support.promtool import check_metrics
from vpnws.control.events import Event
from vpnws.control.metrics import scrape
from vpnws.control.metrics.reading import MAX_LABEL_CHARACTERS
from vpnws.control.metrics.table import HISTOGRAMS, METRICS
from vpnws.server.inspect import processes
from vpnws.switch.queue.delay import DELAY_BOUNDS_S
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.fakes.station import Station

Labels = frozenset[tuple[str, str]]
HOSTILE: Final = 'a"b\\\n} vpnws_joins_total{process="x"} 9\r\t<script>$(reboot)\u202e\udcff'


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=2, tap="lan:tap9", settings={"storm-limit": "10"}) as built:
        yield built


def join(house: House, worker: int, number: int, user: str = "") -> Station:
    raw = (user or f"user{number}").encode(errors="surrogateescape")
    names: dict[str, Any] = {"REMOTE_USER": raw.decode("latin-1")}
    names["HTTP_X_VPN_WS_MAC"] = format_mac(mac(number))
    return house.connect(worker, network="lan", **names)


def get(house: House, accept: str = "", worker: int = 1) -> str:
    request = Operator(house, worker).begin("GET", "metrics", HTTP_ACCEPT=accept)
    if not request.is_over:
        house.loop.advance(5.0)
    assert request.status.startswith("200")
    return request.body.decode()


def samples(text: str) -> dict[str, dict[Labels, float]]:
    """Return all samples by the names of their series."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in series, f"{sample.name} has {sample.labels} twice"
            series[labels] = sample.value
    return found


def total(series: Mapping[Labels, float], **labels: str) -> float:
    """Return the sum of the samples that have `labels`."""
    return sum(value for key, value in series.items() if set(labels.items()) <= key)


class TestForm:
    def test_promtool_finds_nothing_wrong(self, house: House) -> None:
        one, two = join(house, 1, 1, HOSTILE + "z" * 100), join(house, 2, 2)
        one.send(*[frame(BROADCAST, mac(1))] * 30, b"short")
        two.send(frame(mac(1), mac(2)))
        house.connect(2, network="not a name")
        house.loop.settle()
        check_metrics(get(house))

    def test_every_metric_is_served_and_no_other(self, house: House) -> None:
        served = {family.name for family in text_string_to_metric_families(get(house))}
        known = {each.name for each in (*METRICS, *HISTOGRAMS)}
        assert served == known | {name for name, _, _, _ in scrape.SERVER_METRICS}

    def test_openmetrics_is_answered_to_whom_asks_for_it(self, house: House) -> None:
        join(house, 1, 1, HOSTILE + "z" * 100)
        text = get(house, "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
        assert text.endswith("# EOF\n")
        parse: Any = openmetrics.text_string_to_metric_families
        assert "vpnws_joins" in {family.name for family in parse(text)}

    @pytest.mark.parametrize("accept", ["text/plain;version=x", "*/*", ",;=", "text/html"])
    def test_whoever_asks_for_something_else_gets_text(self, house: House, accept: str) -> None:
        assert "# TYPE vpnws_joins_total counter" in get(house, accept)

    def test_they_are_only_read(self, house: House) -> None:
        status, answer = Operator(house).ask("POST", "metrics")
        assert (status, "GET" in answer["error"]) == (405, True)

    def test_another_site_does_not_read_them(self, house: House) -> None:
        status, _ = Operator(house).ask("GET", "metrics", HTTP_SEC_FETCH_SITE="cross-site")
        assert status == 403


class TestStrangersText:
    def test_a_name_stays_one_label(self, house: House) -> None:
        join(house, 1, 1, HOSTILE + "z" * 100)
        found = samples(get(house))
        users = {dict(labels)["user"] for labels in found["vpnws_port_frames_total"]}
        (user,) = users - {""}
        assert user.startswith('a"b\\?} vpnws_joins_total{process="x"} 9??<script>')
        assert user.isprintable()
        assert len(user) == MAX_LABEL_CHARACTERS + len("...")
        assert total(found["vpnws_joins_total"]) == 1

    def test_names_that_are_cut_alike_are_not_mixed_up(self, house: House) -> None:
        for number in (1, 2):
            join(house, 1, number, "x" * 200 + str(number))
        assert len(samples(get(house))["vpnws_port_queued_bytes"]) == 3


class TestValues:
    def test_a_networks_traffic_is_counted_where_it_passed(self, house: House) -> None:
        one, _ = join(house, 1, 1), join(house, 2, 2)
        one.send(*[frame(mac(2), mac(1))] * 7)
        house.loop.settle()
        found = samples(get(house))
        frames = found["vpnws_network_frames_total"]
        assert total(frames, network="lan", process="worker 1", direction="in") == 7
        assert total(frames, network="lan", process="worker 2", direction="out") == 7
        assert total(found["vpnws_trunk_frames_total"], process="worker 2", direction="in") == 7
        assert total(found["vpnws_port_frames_total"], user="user1", direction="in") == 7
        assert total(found["vpnws_fdb_entries"], network="lan") >= 2

    def test_drops_and_refusals_are_counted_by_cause(self, house: House) -> None:
        one = join(house, 1, 1)
        one.send(*[frame(BROADCAST, mac(1))] * 30)
        house.connect(2, network="not a name")
        house.loop.settle()
        found = samples(get(house))
        assert total(found["vpnws_network_dropped_frames_total"], reason="storm") >= 15
        assert total(found["vpnws_port_dropped_frames_total"], user="user1", reason="storm") >= 15
        assert found["vpnws_refusals_total"] == {
            frozenset((("process", "worker 2"), ("status", "500"))): 1
        }

    def test_no_counter_falls_when_stations_go(self, house: House) -> None:
        one, two = join(house, 1, 1), join(house, 2, 2)
        one.send(*[frame(mac(2), mac(1))] * 7)
        house.loop.settle()
        before = samples(get(house))
        one.hang_up()
        two.hang_up()
        house.loop.advance(2.0)
        after = samples(get(house))
        for name, series in before.items():
            if name.endswith("_total") and not name.startswith("vpnws_port_"):
                for labels, value in series.items():
                    assert after[name][labels] >= value, (name, labels)

    def test_waits_are_a_histogram(self, house: House) -> None:
        join(house, 1, 1)
        counts = next(iter(house.processes[1].node.links.values())).port.egress.counts
        counts.delays[1], counts.delays[-1], counts.waited_s = 3, 2, 7.5
        found = samples(get(house))
        buckets = {
            dict(labels)["le"]: value
            for labels, value in found["vpnws_network_queue_delay_seconds_bucket"].items()
            if {("process", "worker 1"), ("network", "lan")} <= labels
        }
        assert buckets[str(DELAY_BOUNDS_S[0])] == 0
        assert buckets[str(DELAY_BOUNDS_S[1])] == buckets[str(DELAY_BOUNDS_S[-1])] == 3
        assert buckets["+Inf"] == 5
        assert total(found["vpnws_network_queue_delay_seconds_sum"]) == 7.5

    def test_every_event_begins_at_zero_so_that_its_first_time_is_a_rise(
        self, house: House
    ) -> None:
        found = samples(get(house))["vpnws_events_total"]
        events = {dict(labels)["event"] for labels in found}
        assert events == {event.value for event in Event}

    def test_a_process_that_does_not_answer_is_down(self, house: House) -> None:
        house.kill(1)
        found = samples(get(house, worker=2))
        up = {dict(labels)["process"]: value for labels, value in found["vpnws_process_up"].items()}
        assert up == {"worker 1": 0, "worker 2": 1, "mule": 1, "hooks": 1}
        house.start(1)
        house.loop.settle()
        restarts = samples(get(house, worker=2))["vpnws_process_restarts_total"]
        assert total(restarts, process="worker 1") == 1


class TestBound:
    def test_only_the_busiest_ports_have_series(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for user_of_it in (scrape, processes):
            monkeypatch.setattr(user_of_it, "MAX_PORT_SERIES", 4)
        for number in range(1, 11):
            station = join(house, number % 2 + 1, number)
            station.send(*[frame(mac(99), mac(number))] * number)
            house.loop.settle()
        found = samples(get(house))
        assert found["vpnws_ports_truncated"] == {frozenset(): 7}
        ports = found["vpnws_port_bytes_total"]
        sums = {dict(labels)["port"]: total(ports, port=dict(labels)["port"]) for labels in ports}
        assert len(sums) == 4
        everywhere = Operator(house).get("ports", "limit=1000")["items"]
        by_bytes = sorted(
            (port["traffic"]["rx_bytes"] + port["traffic"]["tx_bytes"] for port in everywhere),
            reverse=True,
        )
        assert sorted(sums.values(), reverse=True) == by_bytes[:4]
