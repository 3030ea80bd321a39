"""Builds frames that ask an Ethernet network something and change nothing in it."""

from __future__ import annotations

from struct import Struct
from typing import Final

from vpnws.wire.headers import ICMPV6, TYPE_IPV6
from vpnws.wire.segment import complete_partial, sum_words

ECHO_REQUEST: Final = 128
"""The type of an ICMPv6 echo request (RFC 4443 4.1)."""
EXPERIMENT: Final = 0x88B5
"""The EtherType for local experiments (IEEE 802)."""
_ETHERNET: Final = Struct(">6s6sH")
_ALL_NODES_MAC: Final = bytes.fromhex("333300000001")
_ALL_NODES: Final = bytes.fromhex("ff02" + 13 * "00" + "01")
_NEVER_FORWARDED: Final = bytes.fromhex("0180c200000e")
"""No bridge forwards what is sent to it (IEEE 802.1Q 8.6.3)."""
_IPV6: Final = Struct(">IHBB16s16s")
_VERSION_6: Final = 6 << 28
_ECHO: Final = Struct(">BBHHH")
_ECHO_AT: Final = _ETHERNET.size + _IPV6.size
_CHECKSUM_AT: Final = 2
_PSEUDO: Final = Struct(">16s16sII")


def all_nodes_ping(mac: bytes) -> bytes:
    """Return the ping of all IPv6 hosts on the link, from the link-local address of `mac`.

    Hosts answer it unless they are told not to; before that they look for the asker by ND.
    """
    source = link_local(mac)
    head = _IPV6.pack(_VERSION_6, _ECHO.size, ICMPV6, 1, source, _ALL_NODES)
    pseudo = sum_words(_PSEUDO.pack(source, _ALL_NODES, _ECHO.size, ICMPV6))
    frame = _ETHERNET.pack(_ALL_NODES_MAC, mac, TYPE_IPV6) + head
    frame += _ECHO.pack(ECHO_REQUEST, 0, pseudo, 1, 1)
    return complete_partial(frame, _ECHO_AT, _ECHO_AT + _CHECKSUM_AT)


def full_size_frame(mac: bytes, mtu_bytes: int) -> bytes:
    """Return a frame as long as the MTU allows, which the first bridge drops."""
    return _ETHERNET.pack(_NEVER_FORWARDED, mac, EXPERIMENT) + bytes(mtu_bytes)


def link_local(mac: bytes) -> bytes:
    """Return the IPv6 link-local address that a MAC stands for (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 0x02,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return bytes.fromhex("fe80") + bytes(6) + identifier
