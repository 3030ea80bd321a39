"""Decides which changes of this machine a station wants, by its options and what it is offered."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.changes import Address, Mtu, NameServers, Route, Switch
from vpnws.tap.ways import default_routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vpnws.client.janitor.changes import Change
    from vpnws.client.settings import ClientSettings
    from vpnws.wire.offer import Offer

HALVES: Final = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
"""Two routes that together are better than any default route, which stays as it is."""
BROADCASTS: Final = ("255.255.255.255/32", "224.0.0.0/4")
"""What leaves through the device with --broadcast."""
_ROUTER_METRIC: Final = 512
"""Below 1024, the metric of a default route that a router advertisement brings elsewhere."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a station wants now."""

    settings: ClientSettings
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """What has been offered, by its source."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the device, those of the options first."""
        offered = (cidr for offer in self.offers.values() for cidr in offer.address)
        return tuple(dict.fromkeys((*self.settings.addresses, *offered)))

    @property
    def gateways(self) -> dict[int, str]:
        """The way out of the VPN, for IPv4 and for IPv6; the options' own one counts most."""
        offered = [gateway for network, gateway in self._offered_routes() if is_default(network)]
        found: dict[int, str] = {}
        for gateway in (*self.settings.network.gateways, *offered):
            if gateway:
                found.setdefault(ipaddress.ip_address(gateway).version, gateway)
        return found

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes, but for those of --broadcast."""
        network = self.settings.network
        offered = [each for each in self._offered_routes() if not is_default(each[0])]
        halves = [
            (half, gateway)
            for version, gateway in self.gateways.items()
            if network.default_route and self._has_address(version)
            for half in HALVES[version]
        ]
        return _made((*network.routes, *offered, *halves))

    @property
    def lacks_gateway(self) -> bool:
        """Whether --default-route waits for a gateway, or for an address to reach it from."""
        has_halves = self.has_halves(4) or self.has_halves(6)
        return self.settings.network.default_route and not has_halves

    def has_halves(self, version: int) -> bool:
        """Return whether everything of this IP version leads through the VPN."""
        return HALVES[version][0] in {each.destination for each in self.routes}

    def before_connecting(self) -> list[Change]:
        """Return what does not need a connection: it must be so before a frame comes in."""
        mtus = [Mtu(offer.mtu) for offer in self.offers.values() if offer.mtu]
        return [*self._switches(), *mtus[:1], *map(Address, self.addresses)]

    @property
    def is_early(self) -> bool:
        """Whether a route waits for an address from which its gateway can be reached."""
        return not all(map(self._is_reachable, self.routes))

    def changes(self, *, is_connected: bool, is_early: bool = False) -> list[Change]:
        """Return all changes; without a connection, names are looked up as they were before.

        When it is early, routes wait for addresses that the server or DHCP may still bring.
        """
        broadcasts = BROADCASTS if self.settings.network.broadcast else ()
        routes = [each for each in self.routes if not is_early or self._is_reachable(each)]
        found = [*self.before_connecting(), *routes, *map(Route, broadcasts)]
        servers = self._name_servers() if is_connected else ()
        return [*found, *([NameServers(servers)] if servers else [])]

    def covers(self, address: str) -> bool:
        """Return whether packets to `address` would leave through the device."""
        target = ipaddress.ip_address(address)
        networks = (ipaddress.ip_network(each.destination) for each in self.routes)
        return any(target in network for network in networks)

    def is_beside(self, address: str) -> bool:
        """Return whether an address is in the subnet of one that the device has."""
        target = ipaddress.ip_address(address)
        return any(target in ipaddress.ip_interface(each).network for each in self.addresses)

    def _switches(self) -> Sequence[Switch]:
        """Return what keeps a router in the VPN from becoming this machine's way out unasked."""
        if self.settings.bridge:
            return ()
        if not self.settings.network.default_route:
            return (Switch("accept_ra_defrtr", 0), Switch("accept_ra_rt_info_max_plen", 0))
        if 6 in self.gateways:
            return (Switch("accept_ra_defrtr", 0),)
        return (Switch("accept_ra_defrtr", 1), Switch("ra_defrtr_metric", _ROUTER_METRIC))

    def _name_servers(self) -> tuple[str, ...]:
        offered = (server for offer in self.offers.values() for server in offer.dns)
        return self.settings.network.dns or tuple(dict.fromkeys(offered))

    def _offered_routes(self) -> list[tuple[str, str]]:
        routes = (route for offer in self.offers.values() for route in offer.routes)
        return [
            (network, gateway)
            for network, _, gateway in (each.partition(" via ") for each in routes)
        ]

    def _is_reachable(self, route: Route) -> bool:
        return not route.gateway or self._has_address(ipaddress.ip_address(route.gateway).version)

    def _has_address(self, version: int) -> bool:
        return any(ipaddress.ip_interface(each).version == version for each in self.addresses)


def versions_beside(tap: str) -> list[int]:
    """Return the IP versions for which this machine has a default route that is not `tap`'s."""
    return [each.version for each in default_routes() if each.device != tap]


def is_default(route: str) -> bool:
    """Return whether a route leads everywhere; it may name its gateway, as an offer's do."""
    return route.partition(" via ")[0].endswith("/0")


def _made(routes: Sequence[tuple[str, str]]) -> tuple[Route, ...]:
    """Return the routes, without those that make no sense."""
    found: dict[Route, None] = {}
    for network, gateway in routes:
        try:
            found[Route(network, gateway)] = None
        except ValueError:
            continue
    return tuple(found)
