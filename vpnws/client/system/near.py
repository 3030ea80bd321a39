"""Reads which networks this machine reaches without the VPN, from the kernel's tables of routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.tap.routes import TABLES, Network, usable_routes

if TYPE_CHECKING:
    from pathlib import Path

MAX_TABLE_BYTES: Final = 131_072
"""Of a longer table of routes the rest is not read: about 1,000 routes."""
WIDEST: Final = {4: 8, 6: 16}
"""A route with a shorter prefix leads everywhere, as a default route does, or half of one."""


class Near(NamedTuple):
    """A network, and the device that leads to it."""

    network: Network
    device: str


def near_networks(tap: str, tables: Path = TABLES) -> list[Near]:
    """Return the networks that other devices than `tap` lead to.

    Routes that lead everywhere are not among them, nor those that every device has.
    """
    return [
        Near(each.network, each.device)
        for each in usable_routes(MAX_TABLE_BYTES, tables)
        if each.device not in (tap, "lo", "*")
        and each.network.prefixlen >= WIDEST[each.network.version]
        and not (each.network.is_link_local or each.network.is_multicast)
    ]
