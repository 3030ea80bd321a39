"""Ethernet addresses: the constants of IEEE 802.3 and 802.1Q, and how a MAC is written."""

from __future__ import annotations

import re
from typing import Final

ADDRESSES_BYTES: Final = 12
"""Destination and source, with which a frame begins."""
HEADER_BYTES: Final = 14
"""Destination, source and type: the shortest frame."""
MAC_BYTES: Final = 6
TAG_BYTES: Final = 4
MAX_TAGS: Final = 2
"""Tags that are read: one of IEEE 802.1Q inside one of 802.1ad. A frame with more is not taken for
IP."""
MAX_TAGS_BYTES: Final = MAX_TAGS * TAG_BYTES
"""A frame may be longer than MTU and header by this much."""
BROADCAST: Final = b"\xff" * 6
ZERO: Final = bytes(6)
RESERVED: Final = frozenset(b"\x01\x80\xc2\x00\x00" + bytes((last,)) for last in range(16))
"""Group addresses that a bridge never forwards (IEEE 802.1Q 8.6.3)."""

_WRITTEN: Final = re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}")


def is_station_address(mac: bytes) -> bool:
    """Return whether `mac`, 6 bytes, may be a source: neither a group address nor all zero."""
    return not mac[0] & 1 and mac != ZERO


def local_mac(content: bytes) -> bytes:
    """Return 6 bytes as a MAC: locally administered, and no group's (IEEE 802 8.4)."""
    first, *rest = content
    return bytes((first & 0xFC | 0x02, *rest))


def format_mac(mac: bytes) -> str:
    """Return 6 bytes as `aa:bb:cc:dd:ee:ff`."""
    return mac.hex(":")


def parse_mac(text: str) -> bytes | None:
    """Read `aa:bb:cc:dd:ee:ff` (or with dashes) as 6 bytes; None when it is not a MAC."""
    if _WRITTEN.fullmatch(text) is None:
        return None
    return bytes.fromhex(re.sub("[:-]", "", text))
