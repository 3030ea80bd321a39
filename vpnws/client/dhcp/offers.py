"""What of a DHCP server's answer the station takes, as an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.wire.dhcp_routes import is_default
from vpnws.wire.offer import MAX_MTU_BYTES, MIN_MTU_BYTES, Offer

if TYPE_CHECKING:
    from vpnws.dhcp.grant import Grant
    from vpnws.wire.dhcp_routes import Route


def offer_of(grant: Grant, *, wants_routes: bool, wants_dns: bool) -> Offer:
    """Return a grant as an offer: always the address and the MTU, the rest only if it is wanted.

    A default route that nobody asked for would take the whole traffic of the machine, and name
    servers that nobody asked for all its look-ups.
    """
    interface = grant.interface
    routes = [_shown(each) for each in grant.routes if wants_routes and _is_usable(each)]
    mtu = grant.mtu_bytes
    return Offer(
        address=(interface.with_prefixlen,),
        routes=tuple(dict.fromkeys(routes)),
        dns=tuple(str(each) for each in grant.dns) if wants_dns else (),
        mtu=mtu if MIN_MTU_BYTES <= mtu <= MAX_MTU_BYTES else 0,
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
