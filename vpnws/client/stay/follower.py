"""Has the station notice another network and a sleep of its machine, for as long as it lives."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from vpnws.client.life import Follower
from vpnws.client.stay.clock_steps import ClockSteps
from vpnws.client.stay.network import NetworkWatch
from vpnws.client.stay.sleep import SleepWatch
from vpnws.tap.rtnetlink import open_network_events

if TYPE_CHECKING:
    from vpnws.client.life import Link
    from vpnws.client.waiting import Waiter
    from vpnws.errors import ConnectError
    from vpnws.tap.contract import Tap

log = logging.getLogger(__name__)


class Staying(Follower):
    """The watches that have the station connect anew at once."""

    def __init__(self, tap: Tap, waiter: Waiter) -> None:
        """Begin to watch; `tap` is the station's own device."""
        self._events = open_network_events()
        self._network = NetworkWatch(self._events, waiter.aside, waiter.now, lambda: tap.name)
        self._steps = _open_steps()
        self._sleep = SleepWatch(self._steps, waiter.aside, _slept_s)
        self._sleep.start(waiter.now())

    def connected(self, link: Link) -> None:
        """Watch the way to the server of `link`."""
        self._network.connected(link.server_address)

    def lost(self, error: ConnectError, delay_s: float) -> None:  # noqa: ARG002
        """Watch for any change that may help."""
        self._network.lost()

    def ended(self, reason: str) -> None:  # noqa: ARG002
        """Watch no more."""
        self._network.close()
        self._sleep.close()
        self._events.close()
        if self._steps is not None:
            self._steps.close()


def _open_steps() -> ClockSteps | None:
    try:
        return ClockSteps()
    except OSError as error:
        log.debug("the clocks are compared every few seconds: %s", error)
        return None


def _slept_s() -> float:
    """Return by how much the boot clock is ahead of the monotonic clock."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.monotonic()
