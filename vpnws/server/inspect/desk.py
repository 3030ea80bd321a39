"""The desk of one process: answers everything that control asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.asks import (
    BlockAsk,
    DropsAsk,
    EndsAsk,
    KickAsk,
    LimitsAsk,
    MetricsAsk,
    NetworksAsk,
    PortsAsk,
    StatusAsk,
    WayAsk,
)
from vpnws.server.inspect.commands import Commands
from vpnws.server.inspect.drops import DropViews
from vpnws.server.inspect.networks import NetworkViews
from vpnws.server.inspect.ports import PortViews
from vpnws.server.inspect.processes import ProcessViews
from vpnws.server.inspect.search import Search
from vpnws.server.inspect.trace import Traces

if TYPE_CHECKING:
    from vpnws.control.asks import Peers
    from vpnws.server.node import Node


def open_desk(peers: Peers, node: Node, process: str) -> None:
    """Have what `node` has and does be seen and commanded; `process` is its name."""
    ports = PortViews(node, process)
    commands = Commands(node)
    traces = Traces(node, ports, Search(node, ports, process))
    processes = ProcessViews(node, process)
    peers.serve(StatusAsk, processes.status)
    peers.serve(MetricsAsk, processes.metrics)
    peers.serve(NetworksAsk, NetworkViews(node).list)
    peers.serve(DropsAsk, DropViews(node, process).list)
    peers.serve(PortsAsk, ports.list)
    peers.serve(KickAsk, commands.kick)
    peers.serve(BlockAsk, commands.block)
    peers.serve(LimitsAsk, commands.set_limits)
    peers.serve(EndsAsk, traces.ends)
    peers.serve(WayAsk, traces.way)
