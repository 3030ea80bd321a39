"""What a server tells a station in a text message: an address, routes, name servers, a notice.

A text is a JSON object (RFC 8259). Only ports with the subprotocol vpnws.offload.1 get any.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT_CHARACTERS: Final = 4096
"""A longer text is not read."""
MAX_ADDRESSES: Final = 8
"""Addresses of one offer that are read; further ones are left out."""
MAX_ROUTES: Final = 64
"""Routes of one offer that are read; further ones are left out."""
MAX_NAME_SERVERS: Final = 8
"""Name servers of one offer that are read; further ones are left out."""
MIN_MTU_BYTES: Final = 68
"""A smaller MTU is left out: IPv4 needs this much (RFC 791)."""
MAX_MTU_BYTES: Final = 65521
"""A larger MTU is left out: no TAP of Linux has it."""
MAX_LEASE_S: Final = 0xFFFFFFFF
"""A longer lease is left out: DHCP's for ever (RFC 2131 3.3)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one text says; what it does not say is empty, or 0."""

    address: tuple[str, ...] = ()
    """Addresses for the station, each with its prefix length."""
    routes: tuple[str, ...] = ()
    """Networks that are reached through the VPN, in CIDR form; perhaps with " via GATEWAY"."""
    dns: tuple[str, ...] = ()
    """Addresses of name servers."""
    mtu: int = 0
    """The MTU of the network, in bytes."""
    lease_s: int = 0
    """For how many seconds after the station leaves the addresses stay its own."""
    notice: str = ""
    """One sentence for the person at the station; a stranger's text."""

    @property
    def has_settings(self) -> bool:
        """Whether it says more than a notice."""
        return bool(self.address or self.routes or self.dns or self.mtu)


def encode(offer: Offer) -> str:
    """Return the text for `offer`, without what is empty."""
    return json.dumps({name: value for name, value in asdict(offer).items() if value})


def decode(text: str) -> Offer | None:
    """Return what `text` says, None if it is no JSON object.

    Unknown members are ignored, and so is a part of one that is not as it must be.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    notice = content.get("notice")
    return Offer(
        address=_texts(content.get("address"), _interface, MAX_ADDRESSES),
        routes=_texts(content.get("routes"), _route, MAX_ROUTES),
        dns=_texts(content.get("dns"), _address, MAX_NAME_SERVERS),
        mtu=_number(content.get("mtu"), MIN_MTU_BYTES, MAX_MTU_BYTES),
        lease_s=_number(content.get("lease_s"), 1, MAX_LEASE_S),
        notice=notice if isinstance(notice, str) else "",
    )


def _texts(value: object, read: Callable[[str], str], most: int) -> tuple[str, ...]:
    """Return the texts of a list that can be read, in the form of the standard, each once."""
    found: dict[str, None] = {}
    for text in value if isinstance(value, list) else ():
        try:
            # A zone means something on one machine only, and may be any text (RFC 4007 11.2).
            if "%" not in text:
                found[read(text)] = None
        except (ValueError, TypeError, AttributeError):
            continue
    return tuple(found)[:most]


def _interface(text: str) -> str:
    if "/" not in text:
        raise ValueError(text)
    return ip_interface(text).with_prefixlen


def _address(text: str) -> str:
    # An integer would be taken for an address too.
    return str(ip_address(text.strip()))


def _route(text: str) -> str:
    network, via, gateway = text.partition(" via ")
    shown = str(ip_network(network.strip(), strict=False))
    return f"{shown} via {_address(gateway)}" if via else shown


def _number(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if least <= value <= most else 0
