"""Who follows the life of a station, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.program.life import Follower, Followers

if TYPE_CHECKING:
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import Tap


def make_followers(settings: ClientSettings, tap: Tap, waiter: Waiter) -> Follower:  # noqa: ARG001
    """Return all who follow the station of `settings`; what they wait for is aside in `waiter`."""
    return Followers(())
