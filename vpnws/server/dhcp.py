"""The switch's own DHCP server: answers the stations of one process from their ports' leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.dhcp.server import Book, Server
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
