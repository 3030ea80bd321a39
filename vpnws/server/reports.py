"""Reports what ports drop while it happens: a line in the log, and a notice to the station."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vpnws.server.port.drop_watch import OF_A_MAC, DropWatch, explain
from vpnws.switch.guard.moves import TRUSTED
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.switch.drop import Drop
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.location import Location
    from vpnws.switch.port import Port

log = logging.getLogger("vpnws")


class Reports:
    """One process's reports of drops, for all of its ports."""

    def __init__(self, switch: Switch, name_at: Callable[[int, int], str]) -> None:
        """`name_at` returns a port's short name by its slot and its id."""
        self._switch = switch
        self._name_at = name_at
        self._watches: dict[Port, DropWatch] = {}

    def forget(self, port: Port) -> None:
        """Stop watching `port`, which has gone."""
        self._watches.pop(port, None)

    def look(self, port: Port, name: str, now: float) -> list[str]:
        """Log what `port` has begun to drop, or goes on to; return the notices for its station.

        `name` says which port it is, and whose; `now` is in seconds.
        """
        if not port.drops:
            return []
        watch = self._watches.get(port)
        if watch is None:
            watch = self._watches[port] = DropWatch()
        return [self._say(port, name, *said) for said in watch.look(port.drops, now)]

    def _say(self, port: Port, name: str, reason: Drop, count: int) -> str:
        mac, holder = None, "another station"
        if isinstance(port, AccessPort) and reason in OF_A_MAC:
            mac = port.refused.get(reason)
            holder = self._holder(port, mac)
        source = f" of {format_mac(mac)}" if mac is not None else ""
        why = explain(reason, holder)
        log.warning("%s drops %d frames%s (%s): %s", name, count, source, reason, why)
        # Only the operator is told which port has the MAC.
        return f"frames{source} are dropped ({reason}): {explain(reason, 'another station')}"

    def _holder(self, port: AccessPort, mac: bytes | None) -> str:
        there = None if mac is None else self._switch.locate(port.origin.network, mac)
        return "another station" if there is None else self._describe(there)

    def _describe(self, there: Location) -> str:
        if not there.is_somewhere:
            return "a station that is away"
        server = " (the server's TAP)" if there.claim == TRUSTED else ""
        return f"port {self._name_at(there.slot, there.port_id)}{server}"
