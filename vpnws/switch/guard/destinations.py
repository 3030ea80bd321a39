"""The destinations that a station may send to: its `VPNWS_ALLOW`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias

from vpnws.switch.drop import Drop
from vpnws.wire.dhcp import Way, way_of
from vpnws.wire.discovery import (
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
    ROUTER_SOLICITATION,
    nd_type,
)
from vpnws.wire.headers import ICMPV6, TYPE_ARP, UDP, Headers

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

IpNetwork: TypeAlias = IPv4Network | IPv6Network
MAX_DESTINATIONS: Final = 64
"""Destinations in one `VPNWS_ALLOW`: each packet is compared with all of them. A longer list is
refused with 500."""

_ND_OF_HOSTS: Final = (ROUTER_SOLICITATION, NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT)
_BROADCAST: Final = b"\xff\xff\xff\xff"
_LINK_GROUPS: Final = b"\xff\x02"
"""How every group on one link begins (RFC 4291 2.7)."""
_ND_SCOPES: Final = (_LINK_GROUPS, b"\xfe\x80")
"""Where a host's ND goes and no router forwards: the link's groups, and link-local addresses."""


class Destinations(Protocol):
    """Where the stations of a port may send to."""

    refusal: ClassVar[Drop]
    """Why other frames are dropped."""

    def permits(self, frame: Buffer) -> bool:
        """Return whether a station may send `frame`."""


class AllowedDestinations:
    """Destinations a station may send to. What every host needs (ARP, ND, DHCP) always passes."""

    __slots__ = ("_four", "_six")

    refusal: ClassVar[Drop] = Drop.NOT_ALLOWED

    def __init__(self, networks: tuple[IpNetwork, ...]) -> None:
        """`networks` are the destinations allowed, IPv4 and IPv6."""
        self._four = _as_numbers(networks, 4)
        self._six = _as_numbers(networks, 6)

    def permits(self, frame: Buffer) -> bool:
        """Return whether the station may send `frame`. Other EtherTypes than IP and ARP may not."""
        headers = Headers(frame, 0, len(frame))
        version, protocol = headers.version, headers.protocol
        if version == 0:
            return headers.ethertype == TYPE_ARP
        if protocol == UDP and _is_dhcp_request(headers):
            return True
        if protocol == ICMPV6 and _is_host_nd(headers):
            return True
        if headers.may_go_on:
            return False
        number = int.from_bytes(headers.destination, "big")
        for network, mask in self._four if version == 4 else self._six:
            if number & mask == network:
                return True
        return False


def permits_at(allowed: Destinations, _vnet: bytes, buffer: Buffer, at: int, size: int) -> bool:
    """Return whether a station may send the frame of `size` bytes at `at`."""
    return allowed.permits(buffer[at : at + size])


def parse_destinations(text: str) -> tuple[IpNetwork, ...]:
    """Read networks like `10.1.0.0/16,fd00::/64`. Raises ValueError with what is wrong."""
    networks = tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    if not networks:
        raise ValueError("it names no network")
    if len(networks) > MAX_DESTINATIONS:
        raise ValueError(f"it names more than {MAX_DESTINATIONS} networks")
    return networks


def _is_host_nd(headers: Headers) -> bool:
    """Return whether a host sends this ND message to its own link, to find its neighbors."""
    if headers.has_options or nd_type(headers) not in _ND_OF_HOSTS:
        return False
    return headers.destination.startswith(_ND_SCOPES)


def _is_dhcp_request(headers: Headers) -> bool:
    """Return whether a host asks the DHCP servers of its own link."""
    if headers.has_options or way_of(headers) is not Way.TO_SERVER:
        return False
    return headers.destination.startswith(_BROADCAST if headers.version == 4 else _LINK_GROUPS)


def _as_numbers(networks: tuple[IpNetwork, ...], version: int) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(network.network_address), int(network.netmask))
        for network in networks
        if network.version == version
    )
