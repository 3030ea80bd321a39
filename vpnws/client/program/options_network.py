"""Options of the station's place in the network: its addresses."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

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
