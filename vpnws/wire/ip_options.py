"""What may follow IP's own header: IPv4's options and IPv6's extension headers, with routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

ROUTING: Final = 43
EXTENSIONS: Final = (0, ROUTING, 60)
"""Hop-by-hop options, routing header, destination options (RFC 8200 4)."""
FRAGMENT: Final = 44
MAX_EXTENSIONS: Final = 4
"""IPv6 extension headers that are read: those that RFC 8200 4.1 lists, except for fragments and
encryption. A packet with more is not offloaded."""

_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_SOURCE_ROUTES: Final = (131, 137)
_UNIT_BYTES: Final = 8
"""The shortest extension header, and the unit in which each says how much longer it is."""
_ROUTES_TO_FIRST: Final = (2, 4)
"""Mobile IPv6 (RFC 6275) and segment routing (RFC 8754): the first address is the last stop."""
_ADDRESS_UNITS: Final = 2


def has_source_route(buffer: Buffer, start: int, end: int) -> bool:
    """Return whether IPv4's options route the packet, or cannot be read (RFC 791 3.1).

    They are in `buffer` from `start` to `end`.
    """
    here = start
    while here < end and (kind := buffer[here]) != _END_OF_OPTIONS:
        if kind in _SOURCE_ROUTES:
            return True
        length = 1 if kind == _NO_OPERATION else buffer[here + 1] if here + 1 < end else 0
        if length == 0:
            return True
        here += length
    return False


def pass_extensions(
    buffer: Buffer, start: int, end: int, following: int
) -> tuple[int, int, int | None]:
    """Skip IPv6's extension headers, which begin at `start` with one of the kind `following`.

    Return what follows them, where that begins, and where the address of the route's last stop is:
    `start` if there is no route, None if the last stop is unknown. No header reaches past `end`.
    """
    here = start
    last_stop_at: int | None = start
    for _ in range(MAX_EXTENSIONS):
        if following not in EXTENSIONS or here + _UNIT_BYTES > end:
            break
        if following == ROUTING and buffer[here + 3] and last_stop_at is not None:
            # Segments are left (RFC 8200 4.4): IP's destination is a stop on the way.
            is_known = buffer[here + 2] in _ROUTES_TO_FIRST and buffer[here + 1] >= _ADDRESS_UNITS
            last_stop_at = here + _UNIT_BYTES if is_known else None
        following, here = buffer[here], here + _UNIT_BYTES * (1 + buffer[here + 1])
    return following, here, last_stop_at


def may_route(buffer: Buffer, start: int, end: int, following: int) -> bool:
    """Return whether there is, or may be, a routing header among IPv6's extension headers.

    They begin at `start` with one of the kind `following`; no header reaches past `end`. A host
    puts fragments together before it reads on, so what follows a fragment header counts too.
    """
    here = start
    for _ in range(MAX_EXTENSIONS + 1):
        if following == ROUTING:
            return True
        if following not in EXTENSIONS and following != FRAGMENT:
            return False
        if here + _UNIT_BYTES > end:
            return True
        units = 1 if following == FRAGMENT else 1 + buffer[here + 1]
        following, here = buffer[here], here + _UNIT_BYTES * units
    return True
