"""Metrics of a real server: two networks over two workers, scraped while one of them is killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.server import TwoWorkers, reach
from tests.support.ca import password_line
from tests.support.markdown import blocks
from tests.support.plain_nginx import PlainNginx
from tests.support.prerequisites import require
from tests.support.prometheus import Prometheus
from tests.support.promtool import check_metrics
from tests.support.raw_client import RawClient
from tests.support.sources import ROOT
from tests.support.uwsgi_client import UwsgiClient
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.live.server import Station

pytestmark = pytest.mark.live

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]
HOSTILE: Final = 'eve"} 1\nvpnws_joins_total{process="x"} 9\n# <script>$(reboot)'
CONTROL: Final = {"VPNWS_ENDPOINT": "control", "HTTP_UPGRADE": "", "HTTP_CONNECTION": ""}
FRAMES: Final = 200
UP: Final = "vpnws_process_up"
KILLED_S: Final = 10.0
"""A generous bound for what the master does at once: start another worker."""


def scrape(server: TwoWorkers) -> str:
    """Read the metrics as a web server passes the request on. Raises OSError or EOFError."""
    with UwsgiClient(server.socket_path) as client:
        answer = client.ask({**CONTROL, "PATH_INFO": "/vpn_admin/metrics"}, key=None)
        assert answer.status == 200, answer.body
        return answer.body.decode()


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: Mapping[tuple[str, Labels], float], series: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (name, has), value in found.items() if name == series and wanted <= has)


def life(found: Samples, labels: Labels) -> float:
    """Return when the process of a series began; 0 if it did not answer."""
    process = dict(labels).get("process", "")
    return total(found, "vpnws_process_start_time_seconds", process=process)


def check_growth(before: Samples, after: Samples) -> None:
    """See that no counter has fallen, unless another process counts, which began at zero."""
    for (name, labels), value in before.items():
        is_counter = name.endswith(("_total", "_bucket", "_count"))
        if is_counter and (name, labels) in after and life(before, labels) == life(after, labels):
            assert after[name, labels] >= value, (name, dict(labels))


def exchange(one: Station, other: Station, count: int) -> None:
    for number in range(count):
        other.expect(one.send(other.mac, mark=number.to_bytes(4)))


def test_counters_are_true_while_a_worker_is_killed() -> None:
    blue, named = {"VPNWS_NETWORK": "blue"}, {"REMOTE_USER": HOSTILE}
    with (
        TwoWorkers({}) as server,
        server.station(1) as a,
        server.station(2) as b,
        server.named_station({**blue, **named}) as c,
        server.named_station(blue) as d,
    ):
        exchange(a, b, FRAMES)
        reach(c, d)
        text = scrape(server)
        check_metrics(text)
        first = samples(text)
        up = {dict(labels)["process"]: at for (name, labels), at in first.items() if name == UP}
        assert up == {"worker 1": 1, "worker 2": 1, "hooks": 1}
        assert total(first, "vpnws_network_stations", network="blue") == 2
        frames = "vpnws_network_frames_total"
        assert total(first, frames, network="default", direction="in") >= FRAMES
        assert (
            total(first, frames, process="worker 2", network="default", direction="out") >= FRAMES
        )
        assert total(first, "vpnws_trunk_frames_total", direction="in") >= FRAMES
        assert total(first, "vpnws_joins_total") == 4
        users = {dict(labels).get("user") for _, labels in first}
        assert HOSTILE.replace("\n", "?") in users
        last = kill_and_scrape(server, first)
        check_metrics(scrape(server))
        assert total(last, "vpnws_process_restarts_total", process="worker 1") == 1
        assert total(last, "vpnws_joins_total", process="worker 1") <= 4
        with server.station(1) as back:
            exchange(back, b, FRAMES)
            after = samples(scrape(server))
        check_growth(last, after)
        assert total(after, frames, process="worker 1", direction="in") >= FRAMES


def test_a_real_prometheus_reads_them_as_the_page_says(tmp_path: Path) -> None:
    require("nginx", "openssl", "prometheus")
    users, password = tmp_path / "htpasswd-metrics", tmp_path / "vpnws.password"
    users.write_text(password_line("prometheus", "s3cret"))
    password.write_text("s3cret")
    page = (ROOT / "docs/metrics.md").read_text()
    location, config = (block.text for block in blocks(page) if block.language in ("nginx", "yaml"))
    with TwoWorkers({}) as server, server.station(1) as a, server.station(2) as b:
        reach(a, b)
        location = put(location, "/etc/nginx/vpnws/htpasswd-metrics", str(users))
        location = put(location, "/run/vpnws/vpnws.sock", str(server.socket_path))
        with PlainNginx(server.socket_path, location) as nginx:
            for old, new in (
                ("/etc/prometheus/vpnws-rules.yml", str(ROOT / "deploy/prometheus-rules.yml")),
                ("/etc/prometheus/vpnws.password", str(password)),
                ("scheme: https", "scheme: http"),
                ("vpn.example.org", f"127.0.0.1:{nginx.port}"),
            ):
                config = put(config, old, new)
            with Prometheus(f"global: {{scrape_interval: 1s}}\n{config}") as prometheus:
                wait_for(lambda: prometheus.query("vpnws_process_up"), 20, "the first scrape")
                assert prometheus.query('up{job="vpnws"}') == [1]
                assert prometheus.query("sum(vpnws_process_up)") == [3], "workers and hooks"
                assert prometheus.query("sum(vpnws_joins_total)") == [2]
                assert prometheus.query("count(vpnws_port_frames_total)") == [4]
                assert {rule["health"] for rule in prometheus.rules()} <= {"ok", "unknown"}
                assert len(prometheus.rules()) >= 10
            with UwsgiClient(server.socket_path) as station:
                answer = station.ask({"PATH_INFO": "/vpn_metrics/metrics"}, key=None)
                assert answer.status == 400, "only the location grants it"
            assert status_of(nginx.port, "/vpn_metrics/metrics") == 401


def status_of(port: int, path: str) -> int:
    """Return what nginx answers to whoever has no password."""
    with RawClient("127.0.0.1", port) as client:
        return client.request(path).status


def put(text: str, old: str, new: str) -> str:
    """Replace what a page has by what there is here."""
    assert text.count(old) == 1
    return text.replace(old, new)


def kill_and_scrape(server: TwoWorkers, first: Samples) -> Samples:
    """Kill the first worker, and read the metrics again and again until another one counts."""
    killed = server.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)
    found = [first]

    def has_come_back() -> bool:
        try:
            found.append(samples(scrape(server)))
        except (OSError, EOFError):
            # The worker that was to answer is the one that is gone.
            return False
        check_growth(*found[-2:])
        return total(found[-1], "vpnws_process_restarts_total", process="worker 1") == 1

    wait_for(has_come_back, KILLED_S, "the metrics of another worker")
    return found[-1]
