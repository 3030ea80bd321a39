"""What of a DHCP server's answer the station takes, as an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.settings import DEFAULT_MTU_BYTES
from vpnws.wire.dhcp_routes import is_default
from vpnws.wire.offer import MAX_MTU_BYTES, MIN_MTU_BYTES, Offer

if TYPE_CHECKING:
    from collections.abc import Collection

    from vpnws.client.settings import ClientSettings
    from vpnws.dhcp.grant import Grant
    from vpnws.wire.dhcp_routes import Route


def accepted_by(settings: ClientSettings) -> frozenset[str]:
    """Return which parts of a DHCP server's answer the user accepts, as --accept calls them."""
    network = settings.network
    accepted = set(network.accept)
    if network.default_route:
        accepted.add("routes")
    if network.dns:
        accepted.add("dns")
    if settings.mtu_bytes != DEFAULT_MTU_BYTES:
        accepted.discard("mtu")
    return frozenset(accepted)


def offer_of(grant: Grant, accepted: Collection[str]) -> Offer:
    """Return a grant as an offer: the address, and of the rest what is `accepted`.

    A default route that nobody asked for would take the whole traffic of the machine, and name
    servers that nobody asked for all its look-ups.
    """
    routes = [_shown(each) for each in grant.routes if _is_usable(each)]
    is_good_mtu = MIN_MTU_BYTES <= grant.mtu_bytes <= MAX_MTU_BYTES
    return Offer(
        address=(grant.interface.with_prefixlen,),
        routes=tuple(dict.fromkeys(routes)) if "routes" in accepted else (),
        dns=tuple(str(each) for each in grant.dns) if "dns" in accepted else (),
        mtu=grant.mtu_bytes if "mtu" in accepted and is_good_mtu else 0,
        lease_s=int(grant.lease_s or 0),
    )


def _shown(route: Route) -> str:
    network, router = route
    return f"{network} via {router}" if int(router) else str(network)


def _is_usable(route: Route) -> bool:
    """Return whether a route leads somewhere: not to groups, nor to this machine itself."""
    network = route.network
    if is_default(route):
        return bool(int(route.router))
    return not (network.is_multicast or network.is_loopback or network.is_link_local)
