"""What an egress queue must know of a frame's IP packet: its flow, and its congestion mark."""

from __future__ import annotations

from typing import Final

_VLAN_TYPES: Final = (b"\x81\x00", b"\x88\xa8")
_MAX_TAGS: Final = 2
"""Behind more tags a queue does not look for a flow."""
_IPV4: Final = b"\x08\x00"
_IPV6: Final = b"\x86\xdd"
_WITH_PORTS: Final = frozenset((6, 17, 33, 132, 136))
"""TCP, UDP, DCCP, SCTP, UDP-Lite: the two ports stand first."""
_IPV4_BYTES: Final = 20
_IPV4_STARTS: Final = range(0x45, 0x50)
"""Version 4, and a header of at least five words."""
_IPV6_BYTES: Final = 40
_FRAGMENTED: Final = 0x3F
"""More fragments, and the upper bits of the offset, in the byte of the flags (RFC 791 3.1)."""
_CE: Final = 3
"""Congestion experienced (RFC 3168 5); 1 and 2 say that the transport understands it."""


def flow_key(item: bytes, at: int) -> bytes:
    """Return what the frame at `at` has in common with others of its flow.

    For IP: protocol, addresses and, unless it is a fragment, ports. Else: addresses and type. A
    header that is cut short belongs to no flow of IP; nothing raises.
    """
    kind, packet_at = _find_packet(item, at)
    if kind == _IPV4 and len(item) >= packet_at + _IPV4_BYTES:
        protocol = item[packet_at + 9]
        if protocol not in _WITH_PORTS or item[packet_at + 6] & _FRAGMENTED or item[packet_at + 7]:
            return item[packet_at + 9 : packet_at + 10] + item[packet_at + 12 : packet_at + 20]
        if item[packet_at] == 0x45:
            return item[packet_at + 9 : packet_at + 10] + item[packet_at + 12 : packet_at + 24]
        ports_at = packet_at + 4 * (item[packet_at] & 15)
        addresses = item[packet_at + 9 : packet_at + 10] + item[packet_at + 12 : packet_at + 20]
        return addresses + item[ports_at : ports_at + 4]
    if kind == _IPV6 and len(item) >= packet_at + _IPV6_BYTES:
        end = packet_at + (44 if item[packet_at + 6] in _WITH_PORTS else 40)
        return item[packet_at + 6 : packet_at + 7] + item[packet_at + 8 : end]
    return item[at : at + 12] + kind


def mark_ce(item: bytes, at: int) -> bytes | None:
    """Return a copy of `item` whose frame at `at` is marked CE (RFC 3168).

    The item itself if it is marked already; None if its sender does not take marks, or it is no IP.
    """
    kind, packet_at = _find_packet(item, at)
    if kind == _IPV4 and len(item) >= packet_at + _IPV4_BYTES and item[packet_at] in _IPV4_STARTS:
        return _mark_ipv4(item, packet_at)
    if kind == _IPV6 and len(item) >= packet_at + _IPV6_BYTES and item[packet_at] >> 4 == 6:
        return _mark_ipv6(item, packet_at)
    return None


def _find_packet(item: bytes, at: int) -> tuple[bytes, int]:
    """Return the type of the frame at `at` behind its tags, and where its payload begins."""
    at += 12
    kind = item[at : at + 2]
    for _ in range(_MAX_TAGS):
        if kind not in _VLAN_TYPES:
            break
        at += 4
        kind = item[at : at + 2]
    return kind, at + 2


def _mark_ipv4(item: bytes, at: int) -> bytes | None:
    """Mark, and mend the checksum by the difference (RFC 1624): a wrong one stays wrong."""
    service = item[at + 1]
    if service & _CE in (0, _CE):
        return item if service & _CE else None
    marked = bytearray(item)
    marked[at + 1] = service | _CE
    checksum = int.from_bytes(item[at + 10 : at + 12], "big")
    total = (~checksum & 0xFFFF) + (service | _CE) - service
    total = (total & 0xFFFF) + (total >> 16)
    marked[at + 10 : at + 12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(marked)


def _mark_ipv6(item: bytes, at: int) -> bytes | None:
    """Mark the traffic class, which stands across the first two bytes (RFC 8200 3)."""
    code = item[at + 1] >> 4 & _CE
    if code in (0, _CE):
        return item if code else None
    marked = bytearray(item)
    marked[at + 1] |= _CE << 4
    return bytes(marked)
