"""Answers what a trace asks of one process: whom it knows, and what it would do with a frame."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError
from vpnws.control.trace_facts import EndsFacts, PlaceFacts, WayFacts
from vpnws.server.naming import short_name
from vpnws.switch.foresight import Foresight
from vpnws.switch.guard.claims import ANONYMOUS, OWN
from vpnws.switch.guard.roles import Kind, Role, may_talk
from vpnws.switch.port import Origin, Trunk
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.trunk import decode_label

if TYPE_CHECKING:
    from vpnws.control.asks import EndsAsk, WayAsk
    from vpnws.control.views import PortView
    from vpnws.server.inspect.ports import PortViews
    from vpnws.server.inspect.search import Search
    from vpnws.server.node import Node
    from vpnws.switch.foresight import Forecast
    from vpnws.switch.port import AccessPort, Port

MAX_PORTS_SHOWN: Final = 16
"""Ports of one process that get a flooded frame and are named in a trace; all are counted."""
_OWN, _NAME, _NOBODY = "own", "name", "nobody"


class Traces:
    """One process, as a trace asks it. Nothing here changes anything."""

    def __init__(self, node: Node, views: PortViews, search: Search) -> None:
        """`search` finds the ports of `node` by what an operator calls them."""
        self._node = node
        self._views = views
        self._search = search
        self._foresight = Foresight(node.switch)

    def ends(self, ask: EndsAsk) -> EndsFacts:
        """Return what this process knows of both ends."""
        return EndsFacts(
            source=self._search.find(ask.source, ask.network),
            destination=self._search.find(ask.destination, ask.network),
            now_s=self._node.loop.unix_s(),
        )

    def way(self, ask: WayAsk) -> WayFacts:
        """Return what this process would do with a frame. Raises AskError."""
        node, now = self._node, self._node.loop.now()
        origin = origin_of(ask.label)
        if len(ask.frame) < HEADER_BYTES:
            raise AskError("a frame has at least a header", 400)
        if ask.slot != node.slot:
            if ask.slot not in node.switch.trunks:
                raise AskError("there is no such process", 404)
            forecast = self._foresight.of_trunk(origin, ask.slot, ask.frame, now)
            return self._facts(ask, origin, None, forecast)
        ingress = self._port(ask.port, origin.network)
        if ingress is None:
            raise AskError(f"port {ask.port} has just gone: ask again", 409)
        forecast = self._foresight.of_frame(ingress, ask.frame, now)
        return self._facts(ask, ingress.origin, ingress, forecast)

    def _facts(
        self, ask: WayAsk, origin: Origin, ingress: AccessPort | None, forecast: Forecast
    ) -> WayFacts:
        goal = self._port(ask.goal, origin.network)
        trunks = self._node.switch.trunks
        return WayFacts(
            slot=self._node.slot,
            step=int(forecast.step),
            drop=str(forecast.drop or ""),
            is_flooded=forecast.is_flooded,
            found="" if forecast.found is None else self._name(forecast.found),
            ports=self._names(forecast.ports),
            port_count=sum(not isinstance(port, Trunk) for port in forecast.ports),
            full=self._names(forecast.full),
            reaches=goal in forecast.ports,
            is_full_there=goal in forecast.full,
            roles_agree=goal is None or may_talk(origin.role, goal.origin.role),
            has_network=origin.network in self._node.switch.networks.by_name,
            source_at=self._place(ingress, ask.frame[6:12]) if ingress is not None else None,
            is_learned=ingress is not None
            and ask.frame[6:12] in self._node.switch.stations_of(ingress),
            holder=self._holder(ask, origin.network),
            trunk_bytes={self._name(trunk): trunk.egress.size_bytes for trunk in trunks.values()},
        )

    def _place(self, ingress: AccessPort, mac: bytes) -> PlaceFacts | None:
        there = self._node.switch.locate(ingress.origin.network, mac)
        if there is None:
            return None
        claim = ingress.claim_on(mac)
        left_s = there.until_s - self._node.loop.now()
        rival = short_name(there.rival_slot, there.rival_id) if there.is_contested else ""
        return PlaceFacts(
            port=short_name(there.slot, there.port_id) if there.is_somewhere else "",
            whose={OWN: _OWN, ANONYMOUS: _NOBODY}.get(there.claim, _NAME),
            is_same_name=there.claim == claim != ANONYMOUS,
            is_pinned=there.is_pinned,
            rival=rival,
            left_s=0.0 if left_s == inf else left_s,
        )

    def _holder(self, ask: WayAsk, network: str) -> PortView | None:
        there = self._node.switch.locate(network, ask.frame[6:12])
        if there is None or there.slot != self._node.slot:
            return None
        name = short_name(there.slot, there.port_id)
        port = self._port(name, network)
        return None if port is None or name == ask.port else self._views.of(port)

    def _port(self, name: str, network: str) -> AccessPort | None:
        """Return the port of this process and of `network` that `name` names."""
        there = self._node.switch.networks.by_name.get(network)
        ports = there.ports.values() if there is not None and name else ()
        return next((port for port in ports if self._name(port) == name), None)

    def _names(self, ports: tuple[Port, ...]) -> tuple[str, ...]:
        """Name ports, all trunks and the first MAX_PORTS_SHOWN others."""
        trunks = [port for port in ports if isinstance(port, Trunk)]
        others = [port for port in ports if not isinstance(port, Trunk)]
        return tuple(map(self._name, [*trunks, *others[:MAX_PORTS_SHOWN]]))

    def _name(self, port: Port) -> str:
        if isinstance(port, Trunk):
            return f"t{port.id + 1}"
        return short_name(self._node.slot, port.id)


def origin_of(label: bytes) -> Origin:
    """Return the origin that a trunk's label names."""
    kind, community, network = decode_label(label)
    return Origin(network, Role(Kind(kind), community), label)
