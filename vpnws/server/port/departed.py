"""Remembers ports that have gone: whose they were, with which MACs, when they went and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.server.port.link import Link
    from vpnws.server.web.identity import Identity
    from vpnws.switch.port import AccessPort

MAX_DEPARTED: Final = 1000
"""Ports of one process that are remembered after they have gone; a further one puts out the
oldest."""
MAX_MACS_KEPT: Final = 16
"""MACs that are remembered of one of them."""


@dataclass(frozen=True, slots=True)
class DepartedPort:
    """A port that has gone; times are in seconds on the machine's clock."""

    port_id: int
    network: str
    macs: frozenset[bytes]
    """At most MAX_MACS_KEPT."""
    left_s: float
    reason: str = ""
    """Why it went; the station may have said so."""
    identity: Identity | None = None
    """Who the station was; None for a TAP."""
    heard_s: float | None = None
    """When something last came from the station."""


class DepartedPorts:
    """The last ports of one process that have gone."""

    __slots__ = ("_ports",)

    def __init__(self) -> None:
        """None has gone yet."""
        self._ports: deque[DepartedPort] = deque(maxlen=MAX_DEPARTED)

    def __iter__(self) -> Iterator[DepartedPort]:
        """Go through them, the last one first."""
        return reversed(self._ports)

    def note_station(self, link: Link, macs: frozenset[bytes], now: float) -> None:
        """Remember the port of a station, which goes now and has had `macs`."""
        port = link.port
        self._ports.append(
            DepartedPort(
                port.id,
                port.origin.network,
                _some_of(macs | frozenset(filter(None, (link.session.announced_mac,)))),
                now,
                link.reason,
                link.session.identity,
                link.times.heard_s,
            )
        )

    def note_tap(self, port: AccessPort, macs: frozenset[bytes], now: float) -> None:
        """Remember the port of a TAP."""
        reason = "the device has gone, or was closed"
        network = port.origin.network
        self._ports.append(DepartedPort(port.id, network, _some_of(macs), now, reason))


def _some_of(macs: frozenset[bytes]) -> frozenset[bytes]:
    return frozenset(sorted(macs)[:MAX_MACS_KEPT])
