"""What a DHCP server grants: an address for a time, and what else it tells of its network."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

from vpnws.wire.dhcp import FOREVER, REBIND_PART, RENEW_PART, Message, Option
from vpnws.wire.dhcp_routes import Route, routes_of
from vpnws.wire.told import is_hosts

MIN_LEASE_S: Final = 10
"""A shorter lease counts as one of this length: its client would do nothing but renew it."""
MAX_DNS: Final = 8
"""DNS servers that are read of one message; further ones are ignored."""
_DEFAULT_PREFIX: Final = 24
"""For a server that tells no netmask, or one that is none."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease. Its times are seconds since the request that got it was sent; None is never."""

    interface: IPv4Interface
    server: bytes
    """The server's identifier: 4 bytes."""
    server_mac: bytes
    lease_s: float | None = None
    renew_s: float | None = None
    rebind_s: float | None = None
    mtu_bytes: int = 0
    """0 if the server says nothing of it."""
    dns: tuple[IPv4Address, ...] = ()
    routes: tuple[Route, ...] = ()


def read_grant(message: Message, server_mac: bytes) -> Grant | None:
    """Return what an offer or an acknowledgement grants; None if it cannot be used.

    It must name a host's address and its server (RFC 2131 table 3).
    """
    server = message.ip(Option.SERVER_ID)
    if not is_hosts(message.yiaddr) or not is_hosts(server):
        return None
    lease_s, renew_s, rebind_s = _times(message)
    data = message.options.get(Option.DNS, b"")
    dns = [data[at : at + 4] for at in range(0, min(len(data) - 3, 4 * MAX_DNS), 4)]
    return Grant(
        IPv4Interface((message.yiaddr, _prefix(message.options.get(Option.SUBNET_MASK, b"")))),
        server,
        server_mac,
        lease_s,
        renew_s,
        rebind_s,
        message.short(Option.MTU) or 0,
        tuple(IPv4Address(each) for each in dns if is_hosts(each)),
        tuple(routes_of(message)),
    )


def _times(message: Message) -> tuple[float | None, float | None, float | None]:
    """Return when the lease ends, and when to renew and to rebind it."""
    told_s = message.number(Option.LEASE_S)
    if told_s is None or told_s == FOREVER:
        return None, None, None
    lease_s = max(told_s, MIN_LEASE_S)
    renew_s = message.number(Option.RENEWAL_S)
    rebind_s = message.number(Option.REBINDING_S)
    if renew_s is None or rebind_s is None or not 0 < renew_s < rebind_s < lease_s:
        return lease_s, lease_s * RENEW_PART, lease_s * REBIND_PART
    return lease_s, renew_s, rebind_s


def _prefix(mask: bytes) -> int:
    number = int.from_bytes(mask)
    prefix = number.bit_count()
    is_mask = len(mask) == 4 and number and number == (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    return prefix if is_mask else _DEFAULT_PREFIX
