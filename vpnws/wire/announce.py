"""Builds the frames that tell an Ethernet network where an IP address is: ARP and ND, unasked."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.discovery import ARP, ARP_START, ND_HOP_LIMIT, NEIGHBOR_ADVERTISEMENT
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.headers import TYPE_ARP
from vpnws.wire.icmpv6 import to_all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

_ETHERNET: Final = Struct(">6s6sH")
_ARP_REQUEST, _ARP_REPLY = 1, 2
_NA: Final = Struct(">BBHI16sBB6s")
_OVERRIDE: Final = 1 << 29
_ROUTER: Final = 1 << 31
_TARGET_LINK_LAYER: Final = 2


def announcements(mac: bytes, addresses: Iterable[bytes], *, is_router: bool) -> list[bytes]:
    """Return a frame for each of `addresses`, of 4 or 16 bytes, that says it is at `mac`.

    `is_router` says whether the machine forwards IPv6: hosts no longer use a default router that
    denies to be one (RFC 4861 7.2.5).
    """
    return [
        _gratuitous_arp(mac, address)
        if len(address) == 4
        else _unsolicited(mac, address, is_router)
        for address in addresses
    ]


def probe(mac: bytes, address: bytes) -> bytes:
    """Return the ARP probe that asks whether somebody has `address` already (RFC 5227 2.1.1)."""
    packet = ARP.pack(ARP_START, _ARP_REQUEST, mac, bytes(4), bytes(6), address)
    return _ETHERNET.pack(BROADCAST, mac, TYPE_ARP) + packet


def reply(mac: bytes, address: bytes, asker_mac: bytes, asker: bytes) -> bytes:
    """Return the ARP reply that tells the host `asker_mac` that `address` is at `mac`."""
    packet = ARP.pack(ARP_START, _ARP_REPLY, mac, address, asker_mac, asker)
    return _ETHERNET.pack(asker_mac, mac, TYPE_ARP) + packet


def _gratuitous_arp(mac: bytes, address: bytes) -> bytes:
    """Return an ARP announcement (RFC 5227 3)."""
    packet = ARP.pack(ARP_START, _ARP_REQUEST, mac, address, bytes(6), address)
    return _ETHERNET.pack(BROADCAST, mac, TYPE_ARP) + packet


def _unsolicited(mac: bytes, address: bytes, is_router: bool) -> bytes:
    """Return an unsolicited neighbor advertisement (RFC 4861 4.4 and 7.2.6)."""
    flags = _OVERRIDE | (_ROUTER if is_router else 0)
    rest = (flags, address, _TARGET_LINK_LAYER, 1, mac)
    message = _NA.pack(NEIGHBOR_ADVERTISEMENT, 0, 0, *rest)
    return to_all_nodes(mac, address, ND_HOP_LIMIT, message)
