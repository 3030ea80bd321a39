"""Makes the DHCP of a station: our own client, or a program of this system."""

from __future__ import annotations

import os
import random
from functools import partial
from typing import TYPE_CHECKING

from vpnws.client.dhcp.follower import Dhcp
from vpnws.client.dhcp.offers import accepted_by
from vpnws.client.dhcp.own import OwnClient
from vpnws.client.dhcp.packets import PacketSocket
from vpnws.client.dhcp.programs import OWN, find
from vpnws.client.dhcp.system import SystemClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.dhcp.follower import Changed, DhcpClient
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.wire.offer import Offer


class DhcpMaker:
    """What the settings ask for, found and opened while there are privileges."""

    def __init__(self, settings: ClientSettings, device: str, waiter: Waiter) -> None:
        """Raises ConfigError, TapError or TapPermissionError if it cannot be had."""
        name = settings.network.dhcp_client
        self._client: Callable[[Changed], DhcpClient]
        if name == OWN:
            packets = PacketSocket(device)
            # Jitter must differ between stations; it need not be secret.
            self._client = partial(OwnClient, packets, waiter, random.random, os.uname().nodename)
        else:
            self._client = partial(SystemClient, find(name), device, waiter)
        self._waiter = waiter
        self._accepted = accepted_by(settings)

    def make(self, apply: Callable[[str, Offer], None]) -> Dhcp:
        """Return the follower; `apply` has an offer applied. Raises TapError."""
        return Dhcp(self._client, self._waiter, apply, self._accepted)
