"""Who follows the life of a station, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.life import Follower, Followers

if TYPE_CHECKING:
    from vpnws.client.carry.counters import Counters
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import Tap


def make_followers(
    settings: ClientSettings,  # noqa: ARG001
    tap: Tap,  # noqa: ARG001
    waiter: Waiter,  # noqa: ARG001
    counters: Counters,  # noqa: ARG001
) -> Follower:
    """Return all who follow the station of `settings`; what they wait for is aside in `waiter`."""
    return Followers(())
