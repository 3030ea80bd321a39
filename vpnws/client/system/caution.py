"""Leaves out of an offer what would take over more of this machine than the user has accepted.

An address brings its subnet: packets to all of it leave through the device. So who accepts an
address from a stranger, and no routes, gets none whose subnet this machine reaches by another way.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.client.system.near import WIDEST, near_networks
from vpnws.client.system.wanted import is_default

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from ipaddress import IPv4Interface, IPv6Interface

    from vpnws.client.settings import ClientSettings
    from vpnws.client.system.near import Near
    from vpnws.wire.offer import Offer

    Interface: TypeAlias = IPv4Interface | IPv6Interface

WIDEST_PUBLIC: Final = {4: 16, 6: 32}
"""A subnet of public addresses with a shorter prefix is no single network's: it is a route to
strangers' hosts."""


class Caution:
    """What one station takes of strangers' offers without harm to its machine."""

    def __init__(
        self,
        settings: ClientSettings,
        tap: str,
        near: Callable[[str], Sequence[Near]] = near_networks,
    ) -> None:
        """`near` returns the networks that other devices than `tap` lead to."""
        self._settings = settings
        self._tap = tap
        self._near = near

    def sift(self, offer: Offer, in_use: Iterable[str], say: Callable[[str], None]) -> Offer:
        """Return `offer` without what is not taken; `say` gets a sentence about the first of it.

        `in_use` are addresses that must be reached without the VPN: the server's, name servers'.
        """
        reasons = {text: self._why_no_address(text, in_use) for text in offer.address}
        wide = {text: self._why_no_route(text) for text in offer.routes}
        said = [why for why in (*reasons.values(), *wide.values()) if why]
        if not said:
            return offer
        say(said[0])
        return replace(
            offer,
            address=tuple(text for text, why in reasons.items() if not why),
            routes=tuple(text for text, why in wide.items() if not why),
        )

    def _why_no_address(self, text: str, in_use: Iterable[str]) -> str:
        address = ipaddress.ip_interface(text)
        if text in self._settings.addresses:
            return ""
        if _is_special(address):
            return f"the address {text} is offered, which no station can have"
        trusts = "routes" in self._settings.network.accept
        why = "" if trusts else self._whom_it_takes(address, in_use)
        accept = ",".join(dict.fromkeys((*self._settings.network.accept, "routes")))
        return why and (
            f"the address {text} is offered, which is not applied, because {why}; if that is"
            f" meant, --address {text} applies it, and --accept {accept} whatever is offered"
        )

    def _whom_it_takes(self, address: Interface, in_use: Iterable[str]) -> str:
        """Return who would not be reached any more if the device had `address`; empty for none."""
        network = address.network
        if network.prefixlen < (WIDEST_PUBLIC if address.ip.is_global else WIDEST)[network.version]:
            return f"{network} is far more than one network"
        for near in self._near(self._tap):
            if near.network.version == network.version and near.network.overlaps(network):
                return f"{near.network} is reached through {near.device}"
        used = [each for each in in_use if ipaddress.ip_address(each) in network]
        return f"{used[0]} is reached without the VPN" if used else ""

    def _why_no_route(self, text: str) -> str:
        """Return why not even who accepts routes gets this one."""
        network = ipaddress.ip_network(text.partition(" via ")[0])
        is_wide = network.prefixlen < WIDEST[network.version] and not network.is_private
        if is_default(text) or not is_wide or self._settings.network.default_route:
            return ""
        return (
            f"the route {text} is offered, which is not applied, because it is a good part of a"
            " default route: --default-route applies it"
        )


def _is_special(interface: Interface) -> bool:
    """Return whether no host can have such an address as its own (RFC 6890)."""
    ip = interface.ip
    is_reserved = ip.version == 4 and ip.is_reserved
    return not interface.network.prefixlen or (
        ip.is_unspecified or ip.is_loopback or ip.is_multicast or is_reserved
    )
