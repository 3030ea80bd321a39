"""Answers a scrape: asks all processes, and writes what they count in a format of Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace
from prometheus_client import exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics

from vpnws.control.asks import MAX_PORT_SERIES, MetricsAsk
from vpnws.control.calls import Response
from vpnws.control.metrics.reading import PROCESS
from vpnws.control.metrics.table import HISTOGRAMS, METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric as Family

    from vpnws.control.about import About
    from vpnws.control.asks import Answers, ProcessMetrics
    from vpnws.control.calls import Call
    from vpnws.control.metrics.reading import Metric
    from vpnws.control.views import PortView

OPENMETRICS: Final = "application/openmetrics-text"
_END: Final = b"# EOF\n"
"""The end of a text of OpenMetrics."""
SERVER_METRICS: Final = (
    ("vpnws_build_info", "gauge", "version, mode", "Always 1: which version serves in which mode."),
    ("vpnws_start_time_seconds", "gauge", "", "When the server started, in Unix time."),
    ("vpnws_process_up", "gauge", "process", "Whether the process answered (1) or not (0)."),
    (
        "vpnws_ports_truncated",
        "gauge",
        "",
        f"Ports that have no metrics of their own, because {MAX_PORT_SERIES} others have more"
        " bytes.",
    ),
)
"""The metrics of the server as a whole: name, kind, labels and help."""
_HELP: Final = {name: help_ for name, _, _, help_ in SERVER_METRICS}


def get_metrics(call: Call) -> Response:
    """Answer with all metrics, as OpenMetrics or as text, whichever is asked for."""
    scrape = Scrape(call.about, call.peers.ask(MetricsAsk()))
    if OPENMETRICS in call.accept:
        parts = _write(scrape, _as_openmetrics, call.peers.let_others_run)
        return Response(b"".join((*parts, _END)), openmetrics.CONTENT_TYPE_LATEST)
    parts = _write(scrape, exposition.generate_latest, call.peers.let_others_run)
    return Response(b"".join(parts), exposition.CONTENT_TYPE_PLAIN_0_0_4)


def _write(
    scrape: Scrape, write: Callable[[_One], bytes], let_others_run: Callable[[], None]
) -> Iterator[bytes]:
    """Write one metric after the other; frames that have come meanwhile go first."""
    for family in scrape.collect():
        yield write(_One(family))
        let_others_run()


def _as_openmetrics(one: _One) -> bytes:
    text: bytes = openmetrics.generate_latest(one)  # type: ignore[no-untyped-call]
    return text.removesuffix(_END)


class _One(NamedTuple):
    """A collector of one metric, because the library writes all that a collector has at once."""

    family: Family

    def collect(self) -> tuple[Family]:
        """Return the metric."""
        return (self.family,)


@dataclass(frozen=True, slots=True)
class Scrape:
    """A collector of prometheus-client for one scrape; there is no registry."""

    about: About
    answers: Answers[ProcessMetrics]

    def collect(self) -> Iterator[Family]:
        """Make every metric from the answers of all processes."""
        answers, truncated = keep_busiest(self.answers.by_process)
        yield from self._of_server(truncated)
        for metric in METRICS:
            family = _family(metric)
            for process, found in answers.items():
                for labels, value in metric.read(found):
                    family.add_metric((process, *labels), value)
            yield family
        for histogram in HISTOGRAMS:
            delays = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
            for process, found in answers.items():
                for labels, buckets, sum_ in histogram.read(found):
                    delays.add_metric((process, *labels), buckets, sum_)
            yield delays

    def _of_server(self, truncated: int) -> Iterator[Family]:
        about = self.about
        info = InfoMetricFamily("vpnws_build", _HELP["vpnws_build_info"])
        info.add_metric((), {"version": about.version, "mode": about.mode})
        yield info
        yield _gauge("vpnws_start_time_seconds", about.since_s)
        up = GaugeMetricFamily("vpnws_process_up", _HELP["vpnws_process_up"], labels=(PROCESS,))
        for process in self.answers.by_process:
            up.add_metric((process,), 1)
        for process in self.answers.missing:
            up.add_metric((process,), 0)
        yield up
        yield _gauge("vpnws_ports_truncated", truncated)


def keep_busiest(found: dict[str, ProcessMetrics]) -> tuple[dict[str, ProcessMetrics], int]:
    """Return the answers with the MAX_PORT_SERIES busiest ports, and how many others there are."""
    ports = [port for metrics in found.values() for port in metrics.ports]
    kept = {port.id for port in nlargest(MAX_PORT_SERIES, ports, key=_bytes_of)}
    busiest = {
        process: replace(metrics, ports=tuple(port for port in metrics.ports if port.id in kept))
        for process, metrics in found.items()
    }
    return busiest, sum(metrics.port_count for metrics in found.values()) - len(kept)


def _bytes_of(port: PortView) -> int:
    return port.traffic.rx_bytes + port.traffic.tx_bytes


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def _gauge(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, _HELP[name], value=value)
