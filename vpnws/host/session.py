"""What a station's connection needs to be served by any process: one plain record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpnws.config import DEFAULT_NETWORK
from vpnws.switch.guard import ANONYMOUS
from vpnws.wire.websocket import ReceiveState

if TYPE_CHECKING:
    from vpnws.switch.queue import EgressQueue
from vpnws.switch.rights import Rights


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the web server says the station is; all of it comes from the proxy's uwsgi vars."""

    remote_user: str = ""
    dn: str = ""
    remote_addr: str = ""

    def claim(self) -> bytes:
        """Return 8 bytes that stand for a named station; ANONYMOUS for one without a name."""
        if not self.remote_user and not self.dn:
            return ANONYMOUS
        user, dn = (name.encode(errors="surrogateescape") for name in (self.remote_user, self.dn))
        named = len(user).to_bytes(4, "big") + user + dn
        return hashlib.blake2b(named, digest_size=8).digest()


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
