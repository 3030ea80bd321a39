"""Which networks a station may send to: its `VPNWS_ALLOW`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeAlias

from vpnws.wire.ip import Need, read_payload

IpNetwork: TypeAlias = IPv4Network | IPv6Network
MAX_DESTINATIONS: Final = 64
"""Networks in one `VPNWS_ALLOW`, because each packet is compared with all of them. A longer list is
refused with 500."""


class AllowedDestinations:
    """Destinations a station may send to; its own needs (ARP, ND, DHCP) always pass."""

    __slots__ = ("_four", "_six")

    def __init__(self, networks: tuple[IpNetwork, ...]) -> None:
        """`networks` are the destinations allowed, IPv4 and IPv6."""
        self._four = _as_numbers(networks, 4)
        self._six = _as_numbers(networks, 6)

    def permits(self, frame: bytes) -> bool:
        """Tell whether the station may send `frame`."""
        payload = read_payload(frame)
        if payload.need is not Need.TRAFFIC:
            return payload.need is Need.OWN
        allowed = self._four if len(payload.destination) == 4 else self._six
        number = int.from_bytes(payload.destination, "big")
        return any(number & mask == network for network, mask in allowed)


def parse_destinations(text: str) -> tuple[IpNetwork, ...]:
    """Read networks like `10.1.0.0/16,fd00::/64`. Raises ValueError with what is wrong."""
    networks = tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    if not networks:
        raise ValueError("it names no network")
    if len(networks) > MAX_DESTINATIONS:
        raise ValueError(f"it names more than {MAX_DESTINATIONS} networks")
    return networks


def _as_numbers(networks: tuple[IpNetwork, ...], version: int) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(network.network_address), int(network.netmask))
        for network in networks
        if network.version == version
    )
