"""The switch's own DHCP server: answers the stations of one process from their ports' leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vpnws.dhcp.server import Server
from vpnws.server.dhcp_book import LeaseBook
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.dhcp.server import Book
    from vpnws.server.dhcp_setup import Identifier
    from vpnws.server.node import Node
    from vpnws.server.port.link import Link
    from vpnws.switch.port import Port


class DhcpResponder:
    """Answers in the name of one network what its stations ask of DHCP servers.

    Only stations: what comes in from a TAP of the server, or from another process by a trunk, is
    not answered. That process has answered its own stations. So a LAN's DHCP server and this one
    never serve the same host: what a station asks of DHCP servers goes no further than here.
    """

    def __init__(
        self, server: Server, links: Mapping[int, Any], book_of: Callable[[Any], Book]
    ) -> None:
        """`links` are the stations' by their ports' ids; `book_of` returns a link's leases."""
        self._server = server
        self._links = links
        self._book_of = book_of

    def answer(self, ingress: Port, frame: bytes, now: float) -> list[bytes] | Drop | None:
        """Answer a station; beyond its storm limit it gets no answer."""
        question = self._server.read(frame, now)
        link = self._links.get(ingress.id) if question is not None else None
        if question is None or link is None:
            return None
        if not ingress.storm.admit(1, now):
            return Drop.STORM
        reply = self._server.answer(question, self._book_of(link))
        return [] if reply is None else [reply]


def serve_dhcp(node: Node, identifiers: Mapping[str, Identifier]) -> None:
    """Have the stations of `node` answered in the networks of `identifiers`; it has leases."""
    leasing = node.leasing
    if leasing is None:
        return

    def book_of(link: Link) -> LeaseBook:
        """Return the book of one station."""
        return LeaseBook(leasing, link, link.session.offer, node.settings.lease_time_s)

    responders = {
        network: DhcpResponder(
            Server(each.address.packed, answers_arp=each.is_switchs), node.links, book_of
        )
        for network, each in identifiers.items()
    }
    node.switch.networks.responder_of = responders.get
