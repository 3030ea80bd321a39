"""What a policy must know of a frame's payload: ARP, IPv4 and IPv6 destinations, ND, DHCP."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_VLAN_TYPES: Final = (b"\x81\x00", b"\x88\xa8")
_IPV4: Final = b"\x08\x00"
_ARP: Final = b"\x08\x06"
_IPV6: Final = b"\x86\xdd"
_UDP: Final = 17
_ICMPV6: Final = 58
_ND_TYPES: Final = (133, 135, 136)
"""Router solicitation, neighbour solicitation and advertisement (RFC 4861): what a host sends."""
_ROUTING: Final = 43
_ND_SCOPES: Final = (b"\xff\x02", b"\xfe\x80")
"""Where a host's ND goes and no router forwards: the link's groups, and link-local addresses."""
_DHCP_SERVER: Final = (67).to_bytes(2, "big")
_DHCPV6_SERVER: Final = (547).to_bytes(2, "big")
_MAX_TAGS: Final = 2
"""Behind more tags a policy finds no IP packet."""


class Need(IntEnum):
    """What a payload is to a policy by destination."""

    OWN = 0
    """ARP, neighbour discovery or DHCP: without it a station has no address and no gateway."""
    TRAFFIC = 1
    """An IP packet for `Payload.destination`."""
    OTHER = 2
    """Anything else, or too short to tell."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a frame carries, and for IP its destination: 4 or 16 bytes, else none."""

    need: Need
    destination: bytes = b""


_OWN: Final = Payload(Need.OWN)
_OTHER: Final = Payload(Need.OTHER)


def read_payload(frame: bytes) -> Payload:
    """Read what `frame` carries, behind up to two 802.1Q tags.

    A header that is cut short or contradicts itself is OTHER: nobody's need and nobody's traffic.
    """
    at = 12
    for _ in range(_MAX_TAGS):
        if frame[at : at + 2] not in _VLAN_TYPES:
            break
        at += 4
    kind, packet = frame[at : at + 2], frame[at + 2 :]
    if kind == _ARP:
        return _OWN
    if kind == _IPV4:
        return _read_ipv4(packet)
    if kind == _IPV6:
        return _read_ipv6(packet)
    return _OTHER


def _read_ipv4(packet: bytes) -> Payload:
    """Read an IPv4 header (RFC 791); a DHCP request goes to a server's port (RFC 2131)."""
    # With options, a source route for one, the destination here may not be the last.
    if len(packet) < 20 or packet[0] != 0x45:
        return _OTHER
    is_first_fragment = not int.from_bytes(packet[6:8], "big") & 0x1FFF
    to_dhcp = packet[22:24] == _DHCP_SERVER
    destination = packet[16:20]
    if packet[9] == _UDP and is_first_fragment and to_dhcp and destination == b"\xff" * 4:
        return _OWN
    return Payload(Need.TRAFFIC, destination)


def _read_ipv6(packet: bytes) -> Payload:
    """Read an IPv6 header (RFC 8200); ND is never fragmented nor routed: its hop limit is 255."""
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return _OTHER
    following, hop_limit, destination = packet[6], packet[7], packet[24:40]
    if following == _ROUTING:
        return _OTHER
    is_nd = following == _ICMPV6 and len(packet) > 40 and packet[40] in _ND_TYPES
    if is_nd and hop_limit == 255 and destination[:2] in _ND_SCOPES:
        return _OWN
    to_link = destination[:2] == b"\xff\x02"
    if following == _UDP and to_link and packet[42:44] == _DHCPV6_SERVER:
        return _OWN
    return Payload(Need.TRAFFIC, destination)
