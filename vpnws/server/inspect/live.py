"""Answers all that the live stream tells of one process, in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.asks import LiveRows, NetworksAsk, PortsAsk, StatusAsk
from vpnws.control.paging import Filter

if TYPE_CHECKING:
    from vpnws.control.asks import LiveAsk
    from vpnws.server.inspect.events import EventViews
    from vpnws.server.inspect.networks import NetworkViews
    from vpnws.server.inspect.ports import PortViews
    from vpnws.server.inspect.processes import ProcessViews

MAX_TRUNKS_SHOWN: Final = 8
"""The live stream leaves the trunks out where a process has more: api/v1/ports lists them."""


class LiveViews:
    """One process at this moment, as the live stream shows it."""

    def __init__(
        self,
        processes: ProcessViews,
        networks: NetworkViews,
        ports: PortViews,
        events: EventViews,
    ) -> None:
        """Each makes its part of the answer."""
        self._processes = processes
        self._networks = networks
        self._ports = ports
        self._events = events

    def now(self, ask: LiveAsk) -> LiveRows:
        """Return how the process is, what it holds, and what is new. Raises AskError."""
        return LiveRows(
            status=self._processes.status(StatusAsk()),
            networks=self._networks.list(NetworksAsk(limit=ask.networks_limit)),
            ports=self._ports.list(
                PortsAsk(
                    filter=Filter(limit=ask.ports_limit),
                    has_trunks=self._ports.count_trunks() <= MAX_TRUNKS_SHOWN,
                )
            ),
            events=self._events.list(ask.events),
        )
