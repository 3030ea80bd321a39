"""What a station's connection needs to be served by any process: one plain record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpnws.config import DEFAULT_NETWORK
from vpnws.server.web.identity import Identity
from vpnws.server.web.rights import Rights
from vpnws.wire.websocket import ReceiveState

if TYPE_CHECKING:
    from vpnws.switch.queue.queue import EgressQueue


@dataclass(slots=True)
class Session:
    """Everything another process would need to go on serving a station's connection.

    The descriptor travels beside it. Nothing here refers to a loop, a greenlet or a port.
    """

    unsent: EgressQueue
    """What is queued, and what the last write left over."""
    identity: Identity = field(default_factory=Identity)
    network: str = DEFAULT_NETWORK
    subprotocol: str = ""
    announced_mac: bytes | None = None
    rights: Rights = field(default_factory=Rights)
    answers_pings: bool = True
    """The C vpn-ws client does not, and is known by naming no Sec-WebSocket-Version."""
    wants_bridge: bool = False
    """Whether the station says that more stations are behind it: a request, not a right."""
    received: ReceiveState = field(default_factory=ReceiveState)
    """Bytes not yet cut into frames, and the fragments of an unfinished message."""
