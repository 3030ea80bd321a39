"""Options of the station's place in the network: its addresses."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from vpnws.client.settings import ACCEPTABLE, DEFAULT_ACCEPT, NetworkSettings
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    import argparse

TITLE: Final = "addresses and routes"


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    group.add_argument(
        "--address",
        metavar="CIDR",
        action="append",
        default=[],
        help="give it this IPv4 or IPv6 address, such as 10.8.0.2/24; may be repeated",
    )
    group.add_argument(
        "--dhcp",
        action="store_true",
        help="ask for an IPv4 address by DHCP, and keep its lease; routes that a DHCP server tells"
        " count only with --default-route, its name servers only with --dns",
    )
    group.add_argument(
        "--accept",
        metavar="LIST",
        default=",".join(DEFAULT_ACCEPT),
        help="apply these of what the server offers, of address,routes,dns,mtu, or none of them"
        " (default: %(default)s)",
    )
    group.add_argument(
        "--route",
        metavar="CIDR[ via GATEWAY]",
        action="append",
        default=[],
        help="reach this network through the VPN, such as 10.9.0.0/16 or '10.9.0.0/16 via"
        " 10.8.0.1'; may be repeated",
    )


def read_address(text: str) -> str:
    """Return what one --address says, in the usual form. Raises ConfigError."""
    sentence = f"--address {text!r} is not an address with a prefix length, like 10.8.0.2/24"
    if "/" not in text or "%" in text:
        raise ConfigError(sentence)
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(sentence) from error
    what = _not_a_hosts(address)
    if what:
        raise ConfigError(f"--address {text} cannot be a station's: it is {what}")
    return address.with_prefixlen


def read(options: argparse.Namespace) -> NetworkSettings:
    """Return what the options of this subject say. Raises ConfigError."""
    return NetworkSettings(
        dhcp=options.dhcp,
        routes=tuple(_read_route(text) for text in options.route),
        accept=_read_accept(options.accept),
    )


def _read_accept(text: str) -> tuple[str, ...]:
    """Return what of the server's offers is accepted, in the order of ACCEPTABLE."""
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return ()
    unknown = [word for word in words if word not in ACCEPTABLE]
    if unknown:
        raise ConfigError(
            f"--accept {text!r} has {unknown[0]!r}, which is not one of {', '.join(ACCEPTABLE)}; to"
            " accept nothing, say none"
        )
    return tuple(name for name in ACCEPTABLE if name in words)


def _read_route(text: str) -> tuple[str, str]:
    """Return the network and the gateway that one --route names; empty for no gateway."""
    network, via, gateway = (part.strip() for part in text.partition(" via "))
    try:
        route = ipaddress.ip_network(network, strict=False)
        if via and ipaddress.ip_address(gateway).version != route.version:
            raise ConfigError(f"--route {text!r} mixes IPv4 and IPv6")
    except ValueError as error:
        raise ConfigError(
            f"--route {text!r} is not a network, like 10.9.0.0/16, or '10.9.0.0/16 via 10.8.0.1'"
        ) from error
    if not route.prefixlen:
        raise ConfigError(
            f"--route {text!r} would lead to the server through the VPN itself: use --default-route"
        )
    return str(route), gateway


def _not_a_hosts(address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    """Return what `address` is if no host can have it, empty if a host can.

    The first address of an IPv6 network is one that its routers share (RFC 4291 2.6.1), and Linux
    takes it for a host's: it is not refused.
    """
    network = address.network
    if address.ip.is_multicast:
        return "a multicast address"
    if address.ip.is_unspecified or address.ip.is_loopback:
        return "the unspecified address" if address.ip.is_unspecified else "a loopback address"
    if address.version == 6 or network.num_addresses < 4:
        return ""
    if address.ip == network.network_address:
        return f"the address of the network {network} itself"
    return f"the broadcast address of {network}" if address.ip == network[-1] else ""
