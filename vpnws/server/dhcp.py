"""The switch's own DHCP server: answers the stations of one process from their ports' leases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from vpnws.dhcp.server import Server
from vpnws.server.dhcp_book import LeaseBook
from vpnws.switch.drop import Drop
from vpnws.switch.guard.bucket import TokenBucket
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import ADDRESSES_BYTES, MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.dhcp.server import Book
    from vpnws.server.dhcp_setup import Identifier
    from vpnws.server.node import Node
    from vpnws.switch.port import Port

MAX_QUESTIONS_PER_S: Final = 64
"""Questions of one port that are answered in a second, or fewer if its station limit is low: an
answer may have to look for a free address, and change the table of leases."""
QUESTIONS_PER_S: Final = 8
"""Questions of a port that are answered in a second, and one more for each host of its limit."""


class DhcpResponder:
    """Answers in the name of one network what its stations ask of DHCP servers.

    Only stations: what comes in from a TAP of the server, or from another process by a trunk, is
    not answered. That process has answered its own stations. Nor are hosts behind a station that
    bridges, unless the operator says so: their LAN may have a DHCP server. So that and this one
    never serve the same host: what a station asks of DHCP servers goes no further than here.
    """

    def __init__(
        self,
        server: Server,
        links: Mapping[int, Any],
        book_of: Callable[[Any], Book],
        *,
        serves_bridged: bool = False,
    ) -> None:
        """`links` are the stations' by their ports' ids; `book_of` returns a link's leases.

        `serves_bridged` says whether hosts behind stations that bridge are answered.
        """
        self._server = server
        self._links = links
        self._book_of = book_of
        self._serves_bridged = serves_bridged
        self._buckets: dict[int, TokenBucket] = {}
        """By the ports' ids; those of ports that have gone are forgotten in time."""

    def answer(self, ingress: Port, frame: bytes, now: float) -> list[bytes] | Drop | None:
        """Answer a station; beyond its limit, and the storm limit, it gets no answer."""
        question = self._server.read(frame, now)
        link = self._links.get(ingress.id) if question is not None else None
        if question is None or link is None or not self._serves(ingress, frame):
            return None
        if not (ingress.storm.admit(1, now) and self._bucket_of(ingress, now).take(1, 1, now)):
            return Drop.STORM
        reply = self._server.answer(question, self._book_of(link))
        return [] if reply is None else [reply]

    def _bucket_of(self, ingress: Port, now: float) -> TokenBucket:
        found = self._buckets.get(ingress.id)
        if found is None:
            if len(self._buckets) > 2 * len(self._links):
                self._buckets = {
                    id_: each for id_, each in self._buckets.items() if id_ in self._links
                }
            hosts = ingress.station_limit if isinstance(ingress, AccessPort) else 0
            per_s = min(QUESTIONS_PER_S + hosts, MAX_QUESTIONS_PER_S)
            found = self._buckets[ingress.id] = TokenBucket(per_s, now)
        return found

    def _serves(self, ingress: Port, frame: bytes) -> bool:
        """Return whether the sender of `frame` is the station itself, or is served all the same."""
        own = ingress.own if isinstance(ingress, AccessPort) else None
        return self._serves_bridged or own is None or frame[MAC_BYTES:ADDRESSES_BYTES] in own


def serve_dhcp(node: Node, identifiers: Mapping[str, Identifier]) -> None:
    """Have the stations of `node` answered in the networks of `identifiers`; it has leases."""
    if node.leasing is None:
        return
    responders = {
        network: DhcpResponder(
            Server(each.address.packed, answers_arp=each.is_switchs),
            node.links,
            partial(LeaseBook, node.leasing),
            serves_bridged=node.settings.dhcp == "all",
        )
        for network, each in identifiers.items()
    }
    node.switch.networks.responder_of = responders.get
