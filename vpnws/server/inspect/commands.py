"""Does what the operator commands at one process's ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError, Done
from vpnws.control.events import Event
from vpnws.server.inspect.ports import find_port
from vpnws.switch.guard import blocking
from vpnws.switch.guard.storm import StormControl
from vpnws.text import with_reason
from vpnws.wire import websocket

if TYPE_CHECKING:
    from vpnws.control.asks import BlockAsk, KickAsk, LimitsAsk
    from vpnws.control.views import Limits
    from vpnws.server.node import Node
    from vpnws.server.port.link import Link
    from vpnws.switch.port import AccessPort

KICKED: Final = "the operator ended this connection"
"""What a station is told that is kicked for no given reason."""
BLOCKED: Final = "the operator has blocked this station: no frame goes in or out"
UNBLOCKED: Final = "the operator has unblocked this station"


class Commands:
    """What can be done to the ports of one process."""

    def __init__(self, node: Node) -> None:
        """`node` has the ports."""
        self._node = node

    def kick(self, ask: KickAsk) -> Done:
        """End the port of a station; tell it why. Raises AskError."""
        link = self._find(ask.port)
        self._node.stations.commanded(Event.KICK, link, "kicked", ask.by, reason=ask.reason)
        link.end(websocket.KICKED, with_reason(KICKED, ask.reason))
        return Done(1)

    def block(self, ask: BlockAsk) -> Done:
        """Block or unblock the port of a station; tell it. Raises AskError."""
        link, now = self._find(ask.port), self._node.loop.now()
        stations = self._node.stations
        if ask.is_blocked:
            blocking.block(link.port, ask.reason)
            link.notify(with_reason(BLOCKED, ask.reason), now)
            stations.commanded(Event.BLOCK, link, "blocked", ask.by, reason=ask.reason)
        else:
            blocking.unblock(link.port)
            link.notify(UNBLOCKED, now)
            stations.commanded(Event.UNBLOCK, link, "unblocked", ask.by)
        return Done(1)

    def set_limits(self, ask: LimitsAsk) -> Done:
        """Change limits of the port of a station. Raises AskError."""
        link = self._find(ask.port)
        set_limits(link.port, ask.limits, self._node.loop.now())
        told = describe_limits(ask.limits)
        self._node.stations.commanded(Event.LIMITS, link, "has new limits", ask.by, limits=told)
        return Done(1)

    def _find(self, name: str) -> Link:
        port = find_port(self._node, name)
        link = self._node.links.get(port.id) if port is not None else None
        if link is None:
            raise AskError(f"there is no station at port {name}: it has gone, or it is a TAP", 404)
        return link


def set_limits(port: AccessPort, limits: Limits, now: float) -> None:
    """Change those limits of `port` that are given; `now` is in seconds."""
    if limits.storm_packets_per_s is not None:
        port.storm = StormControl(limits.storm_packets_per_s, now)
    if limits.stations is not None:
        port.station_limit = limits.stations
    if limits.egress_bytes is not None:
        port.egress.limit_bytes = limits.egress_bytes


def describe_limits(limits: Limits) -> str:
    """Return the limits that are given, as words of the form name=number."""
    given = ((name, getattr(limits, name)) for name in limits.__struct_fields__)
    return ",".join(f"{name}={number}" for name, number in given if number is not None)
