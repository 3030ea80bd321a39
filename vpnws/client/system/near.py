"""Reads which networks this machine reaches without the VPN, from the kernel's tables of routes."""

from __future__ import annotations

import sys
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES: Final = Path("/proc/thread-self/net")
MAX_TABLE_BYTES: Final = 131_072
"""Of a longer table of routes the rest is not read: about 1,000 routes."""
WIDEST: Final = {4: 8, 6: 16}
"""A route with a shorter prefix leads everywhere, as a default route does, or half of one."""
_IS_UP, _IS_REFUSED = 0x1, 0x200

Network: TypeAlias = "IPv4Network | IPv6Network"


class Near(NamedTuple):
    """A network, and the device that leads to it."""

    network: Network
    device: str


def near_networks(tap: str, tables: Path = TABLES) -> list[Near]:
    """Return the networks that other devices than `tap` lead to.

    Routes that lead everywhere are not among them, nor those that every device has.
    """
    found = (*_ipv4(tables / "route"), *_ipv6(tables / "ipv6_route"))
    return [
        each
        for each in found
        if each.device not in (tap, "lo", "*")
        and each.network.prefixlen >= WIDEST[each.network.version]
        and not (each.network.is_link_local or each.network.is_multicast)
    ]


def _lines(path: Path) -> list[list[str]]:
    try:
        with path.open() as file:
            return [line.split() for line in file.read(MAX_TABLE_BYTES).splitlines()]
    except OSError:
        return []


def _ipv4(path: Path) -> Iterator[Near]:
    """Read lines of device, destination, gateway, flags, three counts and mask (proc(5))."""
    for words in _lines(path)[1:]:
        with suppress(ValueError, IndexError):
            flags = int(words[3], 16)
            if flags & _IS_UP and not flags & _IS_REFUSED:
                # Both are as they lie in memory.
                address, mask = (int(words[n], 16).to_bytes(4, sys.byteorder) for n in (1, 7))
                prefix = int.from_bytes(mask).bit_count()
                yield Near(IPv4Network((address, prefix)), words[0])


def _ipv6(path: Path) -> Iterator[Near]:
    """Read lines of destination, prefix, six more, flags and device (the same page)."""
    for words in _lines(path):
        with suppress(ValueError, IndexError):
            flags = int(words[8], 16)
            if flags & _IS_UP and not flags & _IS_REFUSED:
                yield Near(IPv6Network((bytes.fromhex(words[0]), int(words[1], 16))), words[9])
