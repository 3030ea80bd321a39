"""What any process needs to serve a station's connection, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vpnws.server.web.identity import Identity
from vpnws.server.web.rights import Rights
from vpnws.values import DEFAULT_NETWORK
from vpnws.wire.decoder import ReceiveState
from vpnws.wire.offer import Offer
from vpnws.wire.records import MAX_RECORDS_BYTES, SUBPROTOCOL

MAX_UNCUT_BYTES: Final = 2 * MAX_RECORDS_BYTES
"""`stream`: bytes that wait for the rest of their message. They never reach this: the longest
message and one control frame, with their headers, are shorter."""


@dataclass(slots=True)
class Session:
    """What the handshake has settled, and what has been received since then and is incomplete.

    Nothing here refers to a loop, a greenlet, a descriptor or a port.
    """

    identity: Identity = field(default_factory=Identity)
    network: str = DEFAULT_NETWORK
    subprotocol: str = ""
    announced_mac: bytes | None = None
    rights: Rights = field(default_factory=Rights)
    answers_pings: bool = True
    """False for the C vpn-ws client, which is recognized because it sends no
    Sec-WebSocket-Version."""
    wants_bridge: bool = False
    """Whether the station says that other stations are behind it: a request, not a right."""
    offer: Offer = field(default_factory=Offer)
    """What the web server wants the station to be told (VPNWS_CLIENT_*)."""
    offer_faults: tuple[str, ...] = ()
    """A sentence for each part of that which cannot be used."""
    received: ReceiveState = field(default_factory=ReceiveState)
    """Bytes not yet cut into frames, and the fragments of an unfinished message."""

    @property
    def hears_floods(self) -> bool:
        """Whether the station gets what is flooded from the start.

        A plain one that has announced no MAC may not be ready for frames: the C vpn-ws server sends
        it nothing before its first frame, and vpn-ws's tornado client relies on that.
        """
        is_bridge = self.wants_bridge and self.rights.may_bridge
        return self.subprotocol == SUBPROTOCOL or self.announced_mac is not None or is_bridge


@dataclass(slots=True)
class LinkTimes:
    """When a connection was opened, read and written, in seconds on the machine's clock."""

    opened_s: float
    heard_s: float
    """When something last came from the station."""
    wrote_s: float
    """When the socket last took something."""
    pinged_s: float

    @classmethod
    def starting_at(cls, now: float) -> LinkTimes:
        """Return the times of a connection that has just been opened."""
        return cls(now, now, now, now)
