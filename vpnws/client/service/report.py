"""What a running client says of itself: kept while it runs, made into a view when somebody asks."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from vpnws import __version__
from vpnws.client.life import Follower
from vpnws.client.service import tcp
from vpnws.tap.addresses import addresses_of
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.carry.counters import Counters
    from vpnws.client.life import Link
    from vpnws.client.settings import ServerUrl
    from vpnws.errors import ConnectError

CONNECTING: Final = "connecting"
CONNECTED: Final = "connected"
WAITING: Final = "waiting"
"""The states of a client; WAITING is that for the next attempt."""
MAX_ADDRESSES: Final = 32
"""Addresses of the device that are told; further ones are not."""


@dataclass(frozen=True, slots=True)
class StatusView:
    """A client at some moment; times are in seconds, and None is what is not known."""

    tap: str = ""
    state: str = CONNECTING
    server: str = ""
    server_address: str = ""
    """The IP address that the client connected to: the server's or a proxy's."""
    mac: str = ""
    addresses: list[str] = field(default_factory=list)
    offload: bool = False
    uptime_s: float = 0.0
    """Since the client was started."""
    connected_s: float | None = None
    """Since it was connected."""
    retry_in_s: float | None = None
    reconnects: int = 0
    last_error: str = ""
    last_error_age_s: float | None = None
    rtt_s: float | None = None
    """The round-trip time of the TCP connection."""
    ping_s: float | None = None
    """That of the newest ping, to the switch itself; a connection with traffic needs none."""
    sent_bytes: int | None = None
    """Bytes of this connection, encrypted as they are; TCP of the other end has them."""
    received_bytes: int | None = None
    frames_sent: int = 0
    """Frames of all connections."""
    frames_received: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    clock_s: float = 0.0
    """The monotonic clock, for rates between two views."""
    pid: int = 0
    version: str = ""

    def encode(self) -> bytes:
        """Return the view as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def decode(data: bytes) -> StatusView:
    """Return the view in a line of JSON; what this version does not know is left out.

    Raises ValueError.
    """
    content: Any = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    known = {each.name for each in fields(StatusView)}
    return StatusView(**{name: value for name, value in content.items() if name in known})


class Report(Follower):
    """Follows a station's life, and tells how it is when asked."""

    def __init__(
        self, counters: Counters, name: Callable[[], str], now: Callable[[], float]
    ) -> None:
        """`name` returns the device's name, which may change; `now` monotonic seconds."""
        self._counters = counters
        self._name = name
        self._now = now
        self._started_s = now()
        self._server = ""
        self._link: Link | None = None
        self._connections = 0
        self._connected_at_s = 0.0
        self._retry_at_s: float | None = None
        self._error = ""
        self._failed_at_s = 0.0

    def dialing(self, server: ServerUrl) -> None:
        """Note that an attempt to connect begins."""
        self._server = server.shown
        self._retry_at_s = None

    def connected(self, link: Link) -> None:
        """Note that a connection began."""
        self._link = link
        self._connections += 1
        self._connected_at_s = self._now()

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Note that a connection was lost, or an attempt failed."""
        self._link = None
        self._error = one_line(str(error), max_characters=MAX_SENTENCE_CHARACTERS)
        self._failed_at_s = self._now()
        self._retry_at_s = self._failed_at_s + delay_s

    def view(self) -> StatusView:
        """Return how the client is now."""
        now, link, name = self._now(), self._link, self._name()
        connection = None if link is None else tcp.look(link.fd)
        retry_at_s = self._retry_at_s
        return StatusView(
            tap=name,
            state=self._state(),
            server=self._server,
            server_address=link.server_address if link else "",
            mac=format_mac(link.mac) if link else "",
            addresses=_addresses(name),
            offload=link is not None and link.has_offload,
            uptime_s=now - self._started_s,
            connected_s=now - self._connected_at_s if link else None,
            retry_in_s=None if retry_at_s is None else max(0.0, retry_at_s - now),
            reconnects=max(0, self._connections - 1),
            last_error=self._error,
            last_error_age_s=now - self._failed_at_s if self._error else None,
            rtt_s=connection.rtt_s if connection else None,
            ping_s=link.round_trip.latest_s if link else None,
            sent_bytes=connection.sent_bytes if connection else None,
            received_bytes=connection.received_bytes if connection else None,
            frames_sent=self._counters.frames_sent,
            frames_received=self._counters.frames_received,
            drops={drop.value: count for drop, count in self._counters.drops.items()},
            clock_s=now,
            pid=os.getpid(),
            version=__version__,
        )

    def _state(self) -> str:
        if self._link is not None:
            return CONNECTED
        return CONNECTING if self._retry_at_s is None else WAITING


def _addresses(device: str) -> list[str]:
    """Return the addresses that the kernel has for the device."""
    found = [ipaddress.ip_address(address) for address in addresses_of(device)]
    return [str(address) for address in found[:MAX_ADDRESSES]]
