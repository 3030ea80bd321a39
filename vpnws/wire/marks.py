"""The mark with which a queue tells a sender to slow down (ECN, RFC 3168)."""

from __future__ import annotations

from typing import Final

from vpnws.wire.headers import Headers

_CE: Final = 3
"""Congestion experienced (RFC 3168 5); 1 and 2 mean that the transport understands it."""
_IPV4_CHECKSUM_AT: Final = 10


def mark_ce(item: bytes, at: int) -> bytes | None:
    """Return a copy of `item` whose frame, from `at` to the end, is marked CE (RFC 3168).

    Return `item` itself if it is marked already; None if its sender does not understand marks, or
    if it is not IP.
    """
    headers = Headers(item, at, len(item) - at)
    if headers.version == 4:
        return _mark_ipv4(item, at + headers.network_at)
    if headers.version == 6:
        return _mark_ipv6(item, at + headers.network_at)
    return None


def _mark_ipv4(item: bytes, at: int) -> bytes | None:
    """Mark, and update the checksum by the difference (RFC 1624): a wrong one stays wrong."""
    service = item[at + 1]
    if service & _CE in (0, _CE):
        return item if service & _CE else None
    marked = bytearray(item)
    marked[at + 1] = service | _CE
    field = slice(at + _IPV4_CHECKSUM_AT, at + _IPV4_CHECKSUM_AT + 2)
    total = (~int.from_bytes(item[field], "big") & 0xFFFF) + (service | _CE) - service
    total = (total & 0xFFFF) + (total >> 16)
    marked[field] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(marked)


def _mark_ipv6(item: bytes, at: int) -> bytes | None:
    """Mark the traffic class, which spans the first two bytes (RFC 8200 3)."""
    code = item[at + 1] >> 4 & _CE
    if code in (0, _CE):
        return item if code else None
    marked = bytearray(item)
    marked[at + 1] |= _CE << 4
    return bytes(marked)
