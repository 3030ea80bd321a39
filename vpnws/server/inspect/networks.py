"""Makes views of one process's part of each network: what it holds, and what has passed it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vpnws.control.asks import AskError
from vpnws.control.paging import Rows, decode_cursor, is_after, take_rows
from vpnws.control.views import NetworkView
from vpnws.server.inspect.ports import by_name, traffic_of
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.asks import NetworksAsk
    from vpnws.server.node import Node
    from vpnws.switch.networks import Network
    from vpnws.switch.totals import Totals


class NetworkViews:
    """The networks that one process has or had ports in, as control sees them."""

    def __init__(self, node: Node) -> None:
        """`node` has the ports."""
        self._node = node

    def list(self, ask: NetworksAsk) -> Rows[NetworkView]:
        """Return one page of the networks, in the order of their names. Raises AskError."""
        text = ask.q.lower()
        try:
            start = decode_cursor(ask.after)
            totals = (
                (name, each)
                for name, each in sorted(self._node.switch.networks.totals())
                if is_after((name,), start) and ask.network in ("", name) and text in name.lower()
            )
            return take_rows((self._view(name, each) for name, each in totals), ask.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def all(self) -> Iterator[NetworkView]:
        """Make a view of every network."""
        for name, totals in self._node.switch.networks.totals():
            yield self._view(name, totals)

    def _view(self, name: str, totals: Totals) -> NetworkView:
        node = self._node
        network = node.switch.networks.by_name.get(name)
        ports = network.ports.values() if network is not None else ()
        return NetworkView(
            name=name,
            stations=sum(port.id in node.links for port in ports),
            taps=tuple(device for where, device in node.settings.tap if where == name)
            if any(port in node.uplinks for port in ports)
            else (),
            macs=sum(len(network.fdb.stations_of(port)) for port in ports) if network else 0,
            macs_limit=node.settings.fdb_items,
            macs_refused=totals.macs_refused,
            macs_moved=totals.macs_moved,
            macs_evicted=totals.macs_evicted,
            traffic=traffic_of(totals),
            drops=by_name(totals.drops),
            recent_drops=self._recent(network),
            marks=totals.marked,
            queue_delays=tuple(totals.delays),
            queue_delay_s=totals.waited_s,
        )

    def _recent(self, network: Network | None) -> dict[str, int]:
        now, recent = self._node.loop.now(), Counter[Drop]()
        for port in network.ports.values() if network is not None else ():
            if port.drops:
                recent.update(self._node.reports.recent(port, now))
        return by_name(recent)
