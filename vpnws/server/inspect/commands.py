"""Does what the operator commands at one process's ports."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError, Done
from vpnws.control.ports import parse_port
from vpnws.server.naming import number_of
from vpnws.switch.guard import blocking
from vpnws.switch.guard.storm import StormControl
from vpnws.text import log_value
from vpnws.wire import websocket

if TYPE_CHECKING:
    from vpnws.control.asks import BlockAsk, KickAsk, LimitsAsk
    from vpnws.server.node import Node
    from vpnws.server.port.link import Link

KICKED: Final = "the operator ended this connection"
"""What a station is told that is kicked for no given reason."""
BLOCKED: Final = "the operator has blocked this station: no frame goes in or out"

log = logging.getLogger("vpnws")


class Commands:
    """What can be done to the ports of one process."""

    def __init__(self, node: Node) -> None:
        """`node` has the ports."""
        self._node = node

    def kick(self, ask: KickAsk) -> Done:
        """End the port of a station; tell it why. Raises AskError."""
        link = self._find(ask.port)
        reason = f"{KICKED}: {ask.reason}" if ask.reason else KICKED
        link.end(websocket.KICKED, reason)
        return Done(1)

    def block(self, ask: BlockAsk) -> Done:
        """Block or unblock the port of a station; tell it. Raises AskError."""
        link, now = self._find(ask.port), self._node.loop.now()
        if ask.is_blocked:
            blocking.block(link.port, ask.reason)
            why = f": {ask.reason}" if ask.reason else ""
            link.notify(f"{BLOCKED}{why}", now)
        else:
            blocking.unblock(link.port)
            link.notify("the operator has unblocked this station", now)
        word = "blocked" if ask.is_blocked else "unblocked"
        log.info("port %s %s by=%s", ask.port, word, log_value(ask.by) or "-")
        return Done(1)

    def set_limits(self, ask: LimitsAsk) -> Done:
        """Change limits of the port of a station. Raises AskError."""
        port, limits = self._find(ask.port).port, ask.limits
        if limits.storm_packets_per_s is not None:
            port.storm = StormControl(limits.storm_packets_per_s, self._node.loop.now())
        if limits.stations is not None:
            port.station_limit = limits.stations
        if limits.egress_bytes is not None:
            port.egress.limit_bytes = limits.egress_bytes
        log.info("port %s limits changed by=%s", ask.port, log_value(ask.by) or "-")
        return Done(1)

    def _find(self, name: str) -> Link:
        numbers = parse_port(name)
        for link in self._node.links.values():
            if numbers == (self._node.slot + 1, number_of(link.port.id)):
                return link
        raise AskError(f"there is no station at port {name}: it has gone, or it is a TAP", 404)
