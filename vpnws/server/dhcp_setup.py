"""Chooses the address by which each network's DHCP server is known to its clients."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from vpnws.config import Settings
    from vpnws.lease.pool import Address


class Identifier(NamedTuple):
    """The server identifier (RFC 2132 9.7) of one network."""

    address: IPv4Address
    is_switchs: bool
    """Whether nobody but the switch can have the address, so that the switch answers ARP for it."""


def identifiers(settings: Settings, own: Collection[tuple[str, Address]]) -> dict[str, Identifier]:
    """Return the identifier for each network with a pool of IPv4.

    `own` are the server's addresses, each with its network. One in the pool's subnet is taken, else
    the subnet's first: it is the switch's own, unless a TAP leads to others who may have it.
    """
    tapped = {network for network, _ in settings.tap}
    found = {}
    for pool in settings.pool:
        subnet = pool.subnet
        if isinstance(subnet, IPv4Network):
            mine = [address for network, address in own if network == pool.network]
            there = [each for each in mine if isinstance(each, IPv4Address) and each in subnet]
            first = subnet[min(1, subnet.num_addresses - 1)]
            address = min(there, default=first)
            found[pool.network] = Identifier(address, pool.network not in tapped)
    return found
