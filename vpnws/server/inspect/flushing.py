"""Forgets where MACs are, and frees those that are reserved, as the operator commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.asks import AskError, Done
from vpnws.control.events import Event
from vpnws.server.inspect.ports import find_port
from vpnws.switch.guard.claims import OWN
from vpnws.text import log_value
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.control.mac_asks import FlushAsk, FreeAsk
    from vpnws.control.views import FieldValue
    from vpnws.server.node import Node
    from vpnws.switch.networks import Network


class Flushing:
    """The MACs of one process, as the operator may forget them."""

    def __init__(self, node: Node) -> None:
        """`node` has the ports."""
        self._node = node

    def flush(self, ask: FlushAsk) -> Done:
        """Forget the MACs that are meant, with their IP addresses. Raises AskError."""
        count = 0
        for network, macs in self._meant(ask):
            flushed = {mac for mac in macs if network.fdb.flush(mac)}
            network.addresses.forget_macs(flushed)
            count += len(flushed)
        if count:
            what = ask.mac or (f"port {ask.port}" if ask.port else "all")
            self._note(f"flushed {count} MACs: {what}", ask, count=count, port=ask.port)
        return Done(count)

    def free(self, ask: FreeAsk) -> Done:
        """Free a MAC that is only reserved. Raises AskError if it is to stay reserved."""
        mac = _read_mac(ask.mac)
        table, there = self._node.shared, self._node.switch.locate(ask.network, mac)
        if there is None or there.is_somewhere:
            return Done()
        if there.claim == OWN:
            raise AskError(f"{ask.mac} is the server's own, and stays so")
        if there.is_pinned:
            raise AskError(f"{ask.mac} is pinned: remove the pin to free it")
        table.delete(ask.network, mac)
        table.bump()
        self._note(f"freed {ask.mac}", ask, count=1)
        return Done(1)

    def _note(self, what: str, ask: FlushAsk | FreeAsk, **fields: FieldValue) -> None:
        network, by = (log_value(word) or "-" for word in (ask.network, ask.by))
        self._node.journal.note(
            Event.FLUSH,
            f"{what} network={network} by={by}",
            network=ask.network,
            mac=ask.mac,
            by=ask.by,
            **fields,
        )

    def _meant(self, ask: FlushAsk) -> Iterable[tuple[Network, list[bytes]]]:
        networks = self._node.switch.networks
        if ask.port:
            yield self._of_port(ask.port)
            return
        for network in networks:
            if network.name == ask.network:
                all_here = [mac for mac, _port in network.fdb.known.here()]
                yield network, [_read_mac(ask.mac)] if ask.mac else all_here

    def _of_port(self, name: str) -> tuple[Network, list[bytes]]:
        port = find_port(self._node, name)
        if port is None:
            raise AskError(f"there is no port {name}: its station has gone", 404)
        network = self._node.switch.networks.of(port.origin)
        return network, sorted(network.fdb.stations_of(port))


def _read_mac(text: str) -> bytes:
    mac = parse_mac(text)
    if mac is None:
        raise AskError(f"{text} is not a MAC", 400)
    return mac
