"""Builds frames that ask an Ethernet network something and change nothing in it."""

from __future__ import annotations

from struct import Struct
from typing import Final

from vpnws.wire.icmpv6 import to_all_nodes

ECHO_REQUEST: Final = 128
"""The type of an ICMPv6 echo request (RFC 4443 4.1)."""
EXPERIMENT: Final = 0x88B5
"""The EtherType for local experiments (IEEE 802)."""
_ETHERNET: Final = Struct(">6s6sH")
_NEVER_FORWARDED: Final = bytes.fromhex("0180c200000e")
"""No bridge forwards what is sent to it (IEEE 802.1Q 8.6.3)."""
_ECHO: Final = Struct(">BBHHH")


def all_nodes_ping(mac: bytes) -> bytes:
    """Return the ping of all IPv6 hosts on the link, from the link-local address of `mac`.

    Hosts answer it unless they are told not to; before that they look for the asker by ND.
    """
    return to_all_nodes(mac, link_local(mac), 1, _ECHO.pack(ECHO_REQUEST, 0, 0, 1, 1))


def full_size_frame(mac: bytes, mtu_bytes: int) -> bytes:
    """Return a frame as long as the MTU allows, which the first bridge drops."""
    return _ETHERNET.pack(_NEVER_FORWARDED, mac, EXPERIMENT) + bytes(mtu_bytes)


def link_local(mac: bytes) -> bytes:
    """Return the IPv6 link-local address that a MAC stands for (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 0x02,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return bytes.fromhex("fe80") + bytes(6) + identifier
