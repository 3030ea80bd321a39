"""Every metric: its name, kind and labels, what it is for, and where its values are."""

from __future__ import annotations

from typing import Final

from vpnws.control.metrics.reading import (
    IN_OUT,
    PORT,
    PROCESS,
    Histogram,
    Metric,
    counts_of_process,
    delays,
    dropped_at_port,
    dropped_in_network,
    of_network,
    of_port,
    of_process,
    passed_bytes,
    passed_frames,
    passed_network,
    passed_port,
)

PROCESS_METRICS: Final[tuple[Metric, ...]] = (
    of_process(
        "vpnws_process_start_time_seconds",
        "gauge",
        "When the process began to serve, in Unix time.",
        lambda process: process.since_s,
    ),
    of_process(
        "vpnws_process_restarts",
        "counter",
        "How often the process had to be started anew since the server started.",
        lambda process: process.restarts,
    ),
    of_process(
        "vpnws_process_kills",
        "counter",
        "How often the watchdog killed the process because it hung.",
        lambda process: process.kills,
    ),
    of_process(
        "vpnws_loop_lag_seconds",
        "gauge",
        "The longest that the process's loop was late within the last 10 seconds.",
        lambda process: process.loop_lag_s,
    ),
    of_process(
        "vpnws_stations",
        "gauge",
        "Stations that are here.",
        lambda process: process.ports,
    ),
    of_process(
        "vpnws_joins",
        "counter",
        "Stations that have come.",
        lambda process: process.joins,
    ),
    of_process(
        "vpnws_returns",
        "counter",
        "Stations that came back within 60 seconds after they had left any process.",
        lambda process: process.returns,
    ),
    of_process(
        "vpnws_leaves",
        "counter",
        "Stations that have gone.",
        lambda process: process.leaves,
    ),
    counts_of_process(
        "vpnws_refusals",
        "Requests that did not become a port, by HTTP status.",
        "status",
        lambda process: process.refusals,
    ),
    counts_of_process(
        "vpnws_events",
        "Events, by name (see docs/events.md).",
        "event",
        lambda process: process.events,
    ),
    of_process(
        "vpnws_events_lost",
        "counter",
        "Events that are no longer kept, and that the API cannot show.",
        lambda process: process.events_lost,
    ),
    of_process(
        "vpnws_log_lines_dropped",
        "counter",
        "Lines that were not logged because nobody read the log.",
        lambda process: process.log_lines_dropped,
    ),
    of_process(
        "vpnws_egress_queued_bytes",
        "gauge",
        "What waits in the queues of the process's ports.",
        lambda process: process.egress_bytes,
    ),
    of_process(
        "vpnws_trunk_queued_bytes",
        "gauge",
        "What waits for the other processes.",
        lambda process: process.trunk_bytes,
    ),
    Metric(
        "vpnws_trunk_frames",
        "counter",
        "Frames that came in from other processes, or went out to them.",
        IN_OUT,
        lambda found: passed_frames(found.trunks.traffic),
    ),
    Metric(
        "vpnws_trunk_bytes",
        "counter",
        "Bytes of these frames.",
        IN_OUT,
        lambda found: passed_bytes(found.trunks.traffic),
    ),
    Metric(
        "vpnws_trunk_dropped_frames",
        "counter",
        "Frames dropped on the way between processes, by reason (see docs/topics/drops.md).",
        (PROCESS, "reason"),
        lambda found: [((reason,), count) for reason, count in sorted(found.trunks.drops.items())],
    ),
)
NETWORK_METRICS: Final[tuple[Metric, ...]] = (
    of_network(
        "vpnws_network_stations",
        "gauge",
        "Stations of the network that are here.",
        lambda network: network.stations,
    ),
    passed_network(
        "vpnws_network_frames",
        "Frames that came in from ports of the network, or went out to them.",
        passed_frames,
    ),
    passed_network("vpnws_network_bytes", "Bytes of these frames.", passed_bytes),
    Metric(
        "vpnws_network_dropped_frames",
        "counter",
        "Frames dropped at ports of the network, by reason (see docs/topics/drops.md).",
        (PROCESS, "network", "reason"),
        dropped_in_network,
    ),
    of_network(
        "vpnws_network_marked_packets",
        "counter",
        "Packets marked with ECN's CE instead of being dropped.",
        lambda network: network.marks,
    ),
    of_network(
        "vpnws_fdb_entries",
        "gauge",
        "MACs that are known on ports of the process.",
        lambda network: network.macs,
    ),
    of_network(
        "vpnws_fdb_limit_entries",
        "gauge",
        "MACs that all networks and processes together may have (vpnws-fdb-items); a sixteenth is"
        " kept free.",
        lambda network: network.macs_limit,
    ),
    of_network(
        "vpnws_fdb_moves",
        "counter",
        "MACs that came to a port of the process from another port.",
        lambda network: network.macs_moved,
    ),
    of_network(
        "vpnws_fdb_evictions",
        "counter",
        "Quiet MACs that gave way to others because their port was at its limit.",
        lambda network: network.macs_evicted,
    ),
    of_network(
        "vpnws_fdb_refusals",
        "counter",
        "MACs that were not learned because a table was full; frames to them are flooded.",
        lambda network: network.macs_refused,
    ),
)
PORT_METRICS: Final[tuple[Metric, ...]] = (
    passed_port(
        "vpnws_port_frames",
        "Frames that came in from the port, or went out to it.",
        passed_frames,
    ),
    passed_port("vpnws_port_bytes", "Bytes of these frames.", passed_bytes),
    Metric(
        "vpnws_port_dropped_frames",
        "counter",
        "Frames dropped at the port, by reason (see docs/topics/drops.md).",
        (*PORT, "reason"),
        dropped_at_port,
    ),
    of_port(
        "vpnws_port_queued_bytes",
        "gauge",
        "What waits in the port's queue.",
        lambda port: port.queued_bytes,
    ),
)
HISTOGRAMS: Final[tuple[Histogram, ...]] = (
    Histogram(
        "vpnws_network_queue_delay_seconds",
        "histogram",
        "How long frames waited in queues of the network's ports, of those that waited: a port"
        " that keeps up has none.",
        (PROCESS, "network"),
        delays,
    ),
)
METRICS: Final = (*PROCESS_METRICS, *NETWORK_METRICS, *PORT_METRICS)
