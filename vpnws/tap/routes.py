"""Reads the kernel's lists of routes, which it has as text in /proc (proc(5))."""

from __future__ import annotations

import sys
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES: Final = Path("/proc/thread-self/net")
_RTF_UP, _RTF_REJECT = 0x1, 0x200

Network: TypeAlias = "IPv4Network | IPv6Network"


class Route(NamedTuple):
    """One route of this machine."""

    network: Network
    device: str
    gateway: str
    """As the kernel writes it, in hexadecimal."""
    metric: int


def usable_routes(max_bytes: int, tables: Path = TABLES) -> Iterator[Route]:
    """Yield the routes that are up and refuse nothing, IPv4's first.

    `max_bytes` of each list in `tables` are read. A line that is cut there, or makes no sense, is
    left out, and so is a list that is not to be had.
    """
    for name, read in (("route", _read_4), ("ipv6_route", _read_6)):
        for words in _lines(tables / name, max_bytes):
            with suppress(ValueError, IndexError):
                flags, route = read(words)
                if flags & (_RTF_UP | _RTF_REJECT) == _RTF_UP:
                    yield route


def _read_4(words: list[str]) -> tuple[int, Route]:
    """Read device, destination, gateway, flags, two counts, metric and mask."""
    # Both are as they lie in memory.
    address, mask = (int(words[n], 16).to_bytes(4, sys.byteorder) for n in (1, 7))
    network = IPv4Network((address, int.from_bytes(mask).bit_count()))
    return int(words[3], 16), Route(network, words[0], words[2], int(words[6]))


def _read_6(words: list[str]) -> tuple[int, Route]:
    """Read destination, its prefix, source, its prefix, gateway, metric, two counts, flags, device.

    All numbers are in hexadecimal.
    """
    network = IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)))
    return int(words[8], 16), Route(network, words[9], words[4], int(words[5], 16))


def _lines(path: Path, max_bytes: int) -> list[list[str]]:
    try:
        with path.open("rb") as file:
            text = file.read(max_bytes).decode("ascii", "replace")
    except OSError:
        return []
    return [line.split() for line in text.splitlines()]
