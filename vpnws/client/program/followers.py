"""Who follows the life of a station, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.dhcp.maker import DhcpMaker
from vpnws.client.janitor.start import start
from vpnws.client.life import Follower, Followers
from vpnws.client.service import start as service
from vpnws.client.service.status_socket import StatusSocket
from vpnws.client.stay.follower import Staying
from vpnws.client.system.network import Network
from vpnws.client.system.offers import Offers
from vpnws.client.system.powers import powers_of
from vpnws.client.system.untaken import Untaken, can_be_set_up
from vpnws.errors import JanitorError, VpnwsError
from vpnws.tap.addresses import addresses_of
from vpnws.tap.linux import exists

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.carry.counters import Counters
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import Tap


def make_followers(
    settings: ClientSettings,
    tap: Tap,
    waiter: Waiter,
    counters: Counters,
) -> Follower:
    """Return all who follow the station of `settings`; what they wait for is aside in `waiter`.

    Whatever needs privileges is done here: afterwards the program gives them up. Raises VpnwsError.
    """
    told = service.start(tap, waiter, counters)
    try:
        files = tuple(each.path for each in told if isinstance(each, StatusSocket))
        return Followers((*told, *_make_working(settings, tap, waiter, files)))
    except VpnwsError as error:
        Followers(told).ended(str(error))
        raise


def _make_working(
    settings: ClientSettings, tap: Tap, waiter: Waiter, files: tuple[Path, ...]
) -> list[Follower]:
    """Return those who change this machine's network; `files` are removed at the end."""
    dhcp = DhcpMaker(settings, tap.name, waiter) if settings.network.dhcp else None
    network = _make_network(settings, tap, waiter, files)
    followers: list[Follower] = [network, _make_offers(settings, tap, waiter, network)]
    followers.append(Staying(tap, waiter))
    if dhcp is not None:
        followers.append(dhcp.make(network.apply))
    return followers


def _make_offers(settings: ClientSettings, tap: Tap, waiter: Waiter, network: Network) -> Follower:
    """Return what takes the server's offers, or says them if nothing of them can be applied."""
    if not can_be_set_up(tap):
        return Untaken(tap)
    return Offers(settings, waiter, network.apply, _addresses_of)


def _addresses_of(device: str) -> list[bytes] | None:
    """Return the addresses of a device, None if it is not in our network namespace."""
    return addresses_of(device) if exists(device) else None


def _make_network(
    settings: ClientSettings, tap: Tap, waiter: Waiter, files: tuple[Path, ...]
) -> Network:
    """Start the janitor, and have it give the device its addresses."""
    try:
        janitor = start(powers_of(settings, tap.name, files))
    except OSError as error:
        raise JanitorError(f"cannot start the janitor: {error.strerror}") from error
    network = Network(settings, tap.name, janitor, waiter)
    try:
        network.begin()
    except BaseException:
        janitor.close()
        raise
    return network
