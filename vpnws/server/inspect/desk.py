"""The desk of one process: answers everything that control asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control import asks, capture_asks, mac_asks
from vpnws.control.leases import LeasesAsk, ReleaseAsk
from vpnws.server.inspect.addresses import AddressViews
from vpnws.server.inspect.commands import Commands
from vpnws.server.inspect.drops import DropViews
from vpnws.server.inspect.events import EventViews
from vpnws.server.inspect.fdb import FdbViews
from vpnws.server.inspect.flushing import Flushing
from vpnws.server.inspect.leases import LeaseViews
from vpnws.server.inspect.live import LiveViews
from vpnws.server.inspect.mirroring import Mirroring
from vpnws.server.inspect.networks import NetworkViews
from vpnws.server.inspect.pins import Pins
from vpnws.server.inspect.ports import PortViews
from vpnws.server.inspect.processes import ProcessViews
from vpnws.server.inspect.search import Search
from vpnws.server.inspect.trace import Traces

if TYPE_CHECKING:
    from vpnws.control.asks import Peers
    from vpnws.server.inspect.policies import Policies
    from vpnws.server.node import Node
    from vpnws.server.peers.shared_rules import SharedRules


def open_desk(
    peers: Peers, node: Node, policies: Policies, rules: SharedRules, process: str
) -> None:
    """Have what `node` has and does be seen and commanded; `process` is its name."""
    ports = PortViews(node, process)
    commands = Commands(node)
    traces = Traces(node, ports, Search(node, ports, process))
    processes = ProcessViews(node, process)
    networks = NetworkViews(node)
    events = EventViews(node.journal, node.process_id)
    peers.serve(asks.StatusAsk, processes.status)
    peers.serve(asks.MetricsAsk, processes.metrics)
    peers.serve(asks.NetworksAsk, networks.list)
    peers.serve(asks.EventsAsk, events.list)
    peers.serve(asks.LiveAsk, LiveViews(processes, networks, ports, events).now)
    peers.serve(asks.DropsAsk, DropViews(node, process).list)
    peers.serve(asks.PortsAsk, ports.list)
    peers.serve(asks.KickAsk, commands.kick)
    peers.serve(asks.BlockAsk, commands.block)
    peers.serve(asks.LimitsAsk, commands.set_limits)
    peers.serve(asks.EndsAsk, traces.ends)
    peers.serve(asks.WayAsk, traces.way)
    peers.serve(asks.MakeRuleAsk, policies.make)
    peers.serve(asks.RemoveRuleAsk, policies.remove)
    peers.serve(asks.RulesAsk, policies.list_rules)
    flushing, pins = Flushing(node), Pins(node, rules)
    peers.serve(mac_asks.PinAsk, pins.make)
    peers.serve(mac_asks.UnpinAsk, pins.remove)
    peers.serve(mac_asks.PinsAsk, pins.list)
    peers.serve(mac_asks.FdbAsk, FdbViews(node, rules, process).list)
    peers.serve(mac_asks.AddressesAsk, AddressViews(node).list)
    peers.serve(mac_asks.FlushAsk, flushing.flush)
    peers.serve(mac_asks.FreeAsk, flushing.free)
    leases = LeaseViews(node)
    peers.serve(LeasesAsk, leases.list)
    peers.serve(ReleaseAsk, leases.release)
    mirroring = Mirroring(node, peers, process)
    peers.serve(capture_asks.MirrorAsk, mirroring.mirror)
    peers.serve(capture_asks.MirrorEndAsk, mirroring.end)
    peers.serve(capture_asks.CaptureNoteAsk, mirroring.note)
