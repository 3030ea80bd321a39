"""What a metric is, and how its values are read from what one process counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from vpnws.switch.queue.delay import DELAY_BOUNDS_S
from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from vpnws.control.asks import ProcessMetrics
    from vpnws.control.views import NetworkView, PortView, ProcessView, Traffic

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = tuple[str, ...]
Row: TypeAlias = tuple[Labels, float]
Buckets: TypeAlias = list[tuple[str, float]]
MAX_LABEL_CHARACTERS: Final = 64
"""A longer name of a user is cut off here when it becomes a label."""
PROCESS: Final = "process"
IN_OUT: Final = (PROCESS, "direction")
PORT: Final = (PROCESS, "network", "port", "kind", "user")
_BOUNDS: Final = (*map(str, DELAY_BOUNDS_S), "+Inf")


@dataclass(frozen=True, slots=True)
class Described:
    """What Prometheus is told of a metric; `process` is always its first label."""

    name: str
    """As the library wants it: a counter's `_total` is added to it."""
    kind: Kind
    help: str
    labels: Labels

    @property
    def full_name(self) -> str:
        """The name that Prometheus shows."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


@dataclass(frozen=True, slots=True)
class Metric(Described):
    """A counter or a gauge."""

    read: Callable[[ProcessMetrics], Iterable[Row]]
    """Returns one process's values with their labels, without the one of the process."""


@dataclass(frozen=True, slots=True)
class Histogram(Described):
    """A histogram."""

    read: Callable[[ProcessMetrics], Iterable[tuple[Labels, Buckets, float]]]
    """Returns one process's labels, buckets and sums."""


def label(text: str) -> str:
    """Return a stranger's text as a short label of printable characters."""
    return one_line(text, max_characters=MAX_LABEL_CHARACTERS)


def of_process(name: str, kind: Kind, help_: str, read: Callable[[ProcessView], float]) -> Metric:
    """Return a metric with one value of each process."""
    return Metric(name, kind, help_, (PROCESS,), lambda found: [((), read(found.process))])


def counts_of_process(
    name: str, help_: str, by: str, read: Callable[[ProcessView], Mapping[str, int]]
) -> Metric:
    """Return a counter that each process has several of; they are told apart by the label `by`."""
    return Metric(
        name,
        "counter",
        help_,
        (PROCESS, by),
        lambda found: [((key,), count) for key, count in sorted(read(found.process).items())],
    )


def of_network(name: str, kind: Kind, help_: str, read: Callable[[NetworkView], float]) -> Metric:
    """Return a metric with one value of each network in each process."""
    return Metric(
        name,
        kind,
        help_,
        (PROCESS, "network"),
        lambda found: [((view.name,), read(view)) for view in found.networks],
    )


def of_port(name: str, kind: Kind, help_: str, read: Callable[[PortView], float]) -> Metric:
    """Return a metric with one value of each of the busiest ports."""
    return Metric(
        name,
        kind,
        help_,
        PORT,
        lambda found: [(_labels_of(port), read(port)) for port in found.ports],
    )


def passed_frames(traffic: Traffic) -> tuple[Row, Row]:
    """Return the frames of both directions."""
    return (("in",), traffic.rx_frames), (("out",), traffic.tx_frames)


def passed_bytes(traffic: Traffic) -> tuple[Row, Row]:
    """Return the bytes of both directions."""
    return (("in",), traffic.rx_bytes), (("out",), traffic.tx_bytes)


def passed_network(name: str, help_: str, count: Callable[[Traffic], Iterable[Row]]) -> Metric:
    """Return a counter of what passed each network in both directions."""
    labels = (PROCESS, "network", "direction")
    return Metric(name, "counter", help_, labels, partial(_passed_network, count))


def _passed_network(
    count: Callable[[Traffic], Iterable[Row]], found: ProcessMetrics
) -> Iterator[Row]:
    for view in found.networks:
        for direction, value in count(view.traffic):
            yield (view.name, *direction), value


def passed_port(name: str, help_: str, count: Callable[[Traffic], Iterable[Row]]) -> Metric:
    """Return a counter of what passed each of the busiest ports in both directions."""
    return Metric(name, "counter", help_, (*PORT, "direction"), partial(_passed_port, count))


def _passed_port(count: Callable[[Traffic], Iterable[Row]], found: ProcessMetrics) -> Iterator[Row]:
    for port in found.ports:
        for direction, value in count(port.traffic):
            yield (*_labels_of(port), *direction), value


def dropped_in_network(found: ProcessMetrics) -> Iterator[Row]:
    """Go through the drops of each network, by reason."""
    for view in found.networks:
        for reason, count in sorted(view.drops.items()):
            yield (view.name, reason), count


def dropped_at_port(found: ProcessMetrics) -> Iterator[Row]:
    """Go through the drops of each of the busiest ports, by reason."""
    for port in found.ports:
        for reason, count in sorted(port.drops.items()):
            yield (*_labels_of(port), reason), count


def delays(found: ProcessMetrics) -> Iterator[tuple[Labels, Buckets, float]]:
    """Go through the networks' queue delays; each bucket of Prometheus has those before it too."""
    for view in found.networks:
        counts = map(float, accumulate(view.queue_delays))
        yield (view.name,), list(zip(_BOUNDS, counts, strict=True)), view.queue_delay_s


def _labels_of(port: PortView) -> Labels:
    return port.network, port.id, port.kind, label(port.who.user)
