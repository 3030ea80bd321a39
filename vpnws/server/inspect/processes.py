"""Makes the view of one process: how it is, what it holds, and all that its metrics need."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

from vpnws.control.asks import MAX_PORT_SERIES, ProcessMetrics, ProcessStatus
from vpnws.control.events import Event
from vpnws.control.views import ProcessView, TrunkView
from vpnws.server.inspect.networks import NetworkViews
from vpnws.server.inspect.ports import PortViews, by_name, traffic_of
from vpnws.server.log import lines_dropped
from vpnws.switch.totals import Totals

if TYPE_CHECKING:
    from vpnws.control.asks import MetricsAsk, StatusAsk
    from vpnws.server.node import Node


class ProcessViews:
    """One process, as control sees it."""

    def __init__(self, node: Node, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._process = process
        self._since_s = node.loop.unix_s()
        self._networks = NetworkViews(node)
        self._ports = PortViews(node, process)

    def status(self, _ask: StatusAsk) -> ProcessStatus:
        """Return how the process is, and which networks and how many MACs it has."""
        switch = self._node.switch
        return ProcessStatus(
            process=self._view(),
            networks=tuple(network.name for network in switch.networks),
            macs=sum(
                len(switch.stations_of(port)) for port in self._node.switch.networks.access_ports()
            ),
        )

    def metrics(self, _ask: MetricsAsk) -> ProcessMetrics:
        """Return all that the metrics need: of the ports, only the busiest."""
        ports = list(self._node.switch.networks.access_ports())
        busiest = nlargest(MAX_PORT_SERIES, ports, key=lambda port: port.rx_bytes + port.tx_bytes)
        return ProcessMetrics(
            process=self._view(),
            networks=tuple(self._networks.all()),
            ports=tuple(map(self._ports.of, busiest)),
            port_count=len(ports),
            trunks=self._trunks(),
        )

    def _view(self) -> ProcessView:
        node, tally = self._node, self._node.tally
        now, trunks = node.loop.now(), node.switch.trunks.values()
        lives = tally.lives()
        return ProcessView(
            name=self._process,
            pid=node.process_id,
            since_s=self._since_s,
            ports=len(node.links),
            loop_lag_s=tally.lag.worst_s(now),
            beats=lives.beats,
            egress_bytes=sum(
                port.egress.size_bytes for port in self._node.switch.networks.access_ports()
            ),
            trunk_bytes=sum(trunk.egress.size_bytes for trunk in trunks),
            joins=tally.joins,
            returns=tally.returns,
            leaves=tally.leaves,
            refusals=dict(tally.refusals),
            restarts=max(0, lives.starts - 1),
            kills=lives.kills,
            log_lines_dropped=lines_dropped(),
            events={event.value: node.journal.counts[event] for event in Event},
            events_lost=node.journal.lost,
        )

    def _trunks(self) -> TrunkView:
        totals = Totals()
        for trunk in self._node.switch.trunks.values():
            totals.add_port(trunk)
        return TrunkView(
            traffic=traffic_of(totals),
            drops=by_name(totals.drops),
        )
