"""The DHCP server's book for one station: its port's leases, and what the web server says of it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

from vpnws.dhcp.server import Given, Told
from vpnws.lease.answer import Lease
from vpnws.wire.dhcp_routes import Route, is_default

if TYPE_CHECKING:
    from vpnws.lease.answer import Answer
    from vpnws.server.leasing import StationLeases
    from vpnws.server.port.link import Link
    from vpnws.wire.offer import Offer

_ON_LINK = IPv4Address(0)
"""The router of a network that is on the link itself (RFC 3442)."""


class LeaseBook:
    """The book of one station's port."""

    def __init__(self, leasing: StationLeases, link: Link) -> None:
        """An address that the web server has for the station (VPNWS_CLIENT_ADDRESS) counts for the
        MAC that it has announced, before any lease.
        """
        self._leasing = leasing
        self._link = link
        self._offer = link.session.offer

    def offer(self, mac: bytes, wanted: bytes) -> Given | None:
        """Choose an address for the client `mac`, if possible `wanted`."""
        given = self._given_by_name(mac)
        if given is not None:
            return given
        return self._given(
            self._leasing.lease(
                self._link, mac, wanted=IPv4Address(wanted) if any(wanted) else None
            )
        )

    def keep(self, mac: bytes, ip: bytes) -> Given | None:
        """Give the client just the address `ip`."""
        given = self._given_by_name(mac)
        if given is not None:
            return given if given.ip == ip else None
        return self._given(self._leasing.renew(self._link, mac, IPv4Address(ip)))

    def release(self, mac: bytes, ip: bytes) -> None:
        """Take back an address that the client gives up."""
        self._leasing.release(self._link, mac, IPv4Address(ip))

    def decline(self, mac: bytes, ip: bytes) -> None:
        """Give to nobody what somebody else uses."""
        self._leasing.decline(self._link, mac, IPv4Address(ip))

    def told(self) -> Told:
        """Return what a client is told besides its address."""
        return told_of(self._offer)

    def _given_by_name(self, mac: bytes) -> Given | None:
        """Return the address that the web server has for this station, None if it has none."""
        if mac != self._link.session.announced_mac:
            return None
        for text in self._offer.address:
            interface = ip_interface(text)
            if isinstance(interface, IPv4Interface):
                prefix = interface.network.prefixlen
                return Given(interface.packed, prefix, self._leasing.leases.lease_s, self.told())
        return None

    def _given(self, answer: Answer) -> Given | None:
        """Return a lease as DHCP gives it; None if there is none: the leases say why."""
        if not isinstance(answer, Lease):
            return None
        return Given(answer.address.packed, answer.prefix_length, answer.lease_s, self.told())


def told_of(offer: Offer) -> Told:
    """Return what of an offer DHCPv4 can tell: what is IPv6 is left out."""
    routes = [route for route in map(_route, offer.routes) if route is not None]
    dns = [address.packed for address in map(ip_address, offer.dns) if address.version == 4]
    routers = [route.router.packed for route in routes if is_default(route)]
    return Told(offer.mtu, tuple(routers), tuple(dns), tuple(routes))


def _route(text: str) -> Route | None:
    destination, _, gateway = text.partition(" via ")
    network = ip_network(destination)
    router = ip_address(gateway) if gateway else _ON_LINK
    if isinstance(network, IPv4Network) and isinstance(router, IPv4Address):
        return Route(network, router)
    return None
