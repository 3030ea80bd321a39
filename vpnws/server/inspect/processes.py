"""Makes the view of one process: how it is, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.asks import ProcessStatus
from vpnws.control.views import ProcessView

if TYPE_CHECKING:
    from vpnws.control.asks import StatusAsk
    from vpnws.server.node import Node


class ProcessViews:
    """One process, as control sees it."""

    def __init__(self, node: Node, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._process = process
        self._since_s = node.loop.unix_s()

    def status(self, _ask: StatusAsk) -> ProcessStatus:
        """Return how the process is, and which networks and how many MACs it has."""
        node, switch = self._node, self._node.switch
        ports = [port for network in switch.networks for port in network.ports.values()]
        trunks = switch.trunks.values()
        return ProcessStatus(
            process=ProcessView(
                name=self._process,
                pid=node.process_id,
                since_s=self._since_s,
                ports=len(node.links),
                egress_bytes=sum(port.egress.size_bytes for port in ports),
                trunk_bytes=sum(trunk.egress.size_bytes for trunk in trunks),
            ),
            networks=tuple(network.name for network in switch.networks),
            macs=sum(len(switch.stations_of(port)) for port in ports),
        )
