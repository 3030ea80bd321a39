"""Pools: the ranges of IP addresses that each network's stations lease from."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.errors import ConfigError
from vpnws.values import DEFAULT_NETWORK, is_network_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network, IPv6Network

MAX_POOLS: Final = 8192
"""Pools of one server, one of IPv4 and one of IPv6 for each network; with more it does not
start."""
_LONGEST_WITH_ENDS: Final = {4: 30, 6: 126}
"""Prefixes up to this length keep addresses for the network itself (RFC 3021, RFC 6164)."""

Address: TypeAlias = "IPv4Address | IPv6Address"
Subnet: TypeAlias = "IPv4Network | IPv6Network"


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses of `subnet` from `first` to `last`, both included, for one network."""

    network: str
    subnet: Subnet
    first: Address
    last: Address

    @property
    def version(self) -> int:
        """4 or 6, for the version of IP."""
        return self.subnet.version

    @property
    def size(self) -> int:
        """How many addresses there are; a pool of IPv6 may have more than len() can say."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: object) -> bool:
        return isinstance(address, type(self.first)) and (
            int(self.first) <= int(address) <= int(self.last)
        )

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def addresses_from(self, start: int) -> Iterator[Address]:
        """Yield all addresses, in order and around, from number `start` modulo the size."""
        first, size = int(self.first), self.size
        kind = type(self.first)
        start %= size
        # range() has no length for what an IPv6 pool can hold, so count by islice.
        upper = (kind(first + number) for number in _count(start, size))
        return chain(upper, (kind(first + number) for number in _count(0, start)))

    def head(self, start: int, most: int) -> Iterator[Address]:
        """Yield `most` of `addresses_from`, or all if there are fewer."""
        return islice(self.addresses_from(start), most)


def parse_pools(text: str) -> tuple[Pool, ...]:
    """Read `10.8.0.0/24 fd00:8::/64 blue:10.9.0.100-10.9.0.199/24` as pools.

    A word is a subnet, or the first and last address with their subnet's prefix length; before it
    may be a network and a colon. Raises ConfigError with what is allowed.
    """
    if "," in text:
        raise ConfigError(f"vpnws-pool = {text!r} has a comma: separate several by spaces")
    pools = tuple(_parse_word(word) for word in text.split())
    if len(pools) > MAX_POOLS:
        raise ConfigError(f"vpnws-pool has {len(pools)} pools, and at most {MAX_POOLS} are allowed")
    seen: dict[tuple[str, int], Pool] = {}
    for pool in pools:
        other = seen.setdefault((pool.network, pool.version), pool)
        if other is not pool:
            raise ConfigError(
                f"vpnws-pool has two pools of IPv{pool.version} for the network {pool.network},"
                f" {other} and {pool}: one larger pool serves all its stations"
            )
    return pools


def _count(start: int, end: int) -> Iterator[int]:
    while start < end:
        yield start
        start += 1


def _parse_word(word: str) -> Pool:
    # An IPv6 subnet has colons of its own, so the whole word comes first.
    pool = _parse_range(DEFAULT_NETWORK, word)
    network, colon, rest = word.partition(":")
    if pool is None and colon and is_network_name(network):
        pool = _parse_range(network, rest)
    if pool is None:
        raise ConfigError(
            f"vpnws-pool has {word!r}, which is not a subnet like 10.8.0.0/24 or fd00:8::/64, nor a"
            " range like 10.8.0.100-10.8.0.199/24, nor one of them after a network and a colon,"
            " like blue:10.9.0.0/24"
        )
    return pool


def _parse_range(network: str, text: str) -> Pool | None:
    """Return the pool that `text` is for `network`; None if it is none. Raises ConfigError."""
    span, slash, bits = text.partition("/")
    first, dash, last = span.partition("-")
    try:
        low = ip_address(first)
        high = ip_address(last) if dash else None
        subnet = ip_network(f"{first}/{bits}", strict=False)
    except ValueError:
        return None
    if not slash or "%" in text:
        return None
    if high is None and low != subnet.network_address:
        raise ConfigError(
            f"vpnws-pool has {text}, which is one host's address and not a subnet: write {subnet},"
            f" or a range such as {low}-{subnet.broadcast_address - 1}/{bits}"
        )
    return _checked(network, text, subnet, low if high is not None else None, high)


def _checked(
    network: str, text: str, subnet: Subnet, low: Address | None, high: Address | None
) -> Pool:
    if subnet.is_multicast or subnet.is_loopback or subnet.is_link_local or not subnet.prefixlen:
        raise ConfigError(
            f"vpnws-pool has {text}, which no station can have: take a private subnet, like"
            " 10.8.0.0/24 or fd00:8::/64"
        )
    first, last = subnet.network_address, subnet.broadcast_address
    if subnet.prefixlen <= _LONGEST_WITH_ENDS[subnet.version]:
        # IPv6's lowest is every router's (RFC 4291 2.6.1), IPv4's highest is everybody's.
        first, last = first + 1, last - (subnet.version == 4)
    pool = Pool(network, subnet, low or first, high or last)
    if not (int(first) <= int(pool.first) <= int(pool.last) <= int(last)):
        raise ConfigError(
            f"vpnws-pool has {text}, whose range is not within {first} to {last}, the addresses for"
            f" hosts of {subnet}"
        )
    return pool
