"""Builds frames with a message of ICMPv6 (RFC 4443) for all hosts on the link."""

from __future__ import annotations

from struct import Struct
from typing import Final

from vpnws.wire.headers import ICMPV6, TYPE_IPV6
from vpnws.wire.segment import complete_partial, sum_words

_ALL_NODES_MAC: Final = bytes.fromhex("333300000001")
_ALL_NODES: Final = bytes.fromhex("ff02" + 13 * "00" + "01")
_ETHERNET: Final = Struct(">6s6sH")
_IPV6: Final = Struct(">IHBB16s16s")
_VERSION_6: Final = 6 << 28
_PSEUDO: Final = Struct(">16s16sII")
_MESSAGE_AT: Final = _ETHERNET.size + _IPV6.size
_CHECKSUM_AT: Final = 2
"""Where the checksum is in a message."""
_CHECKSUM_BYTES: Final = 2


def to_all_nodes(mac: bytes, source: bytes, hop_limit: int, message: bytes) -> bytes:
    """Return the frame that carries `message` from `source`, an IPv6 address at `mac`.

    The checksum is written into it, whatever stands there.
    """
    pseudo = sum_words(_PSEUDO.pack(source, _ALL_NODES, len(message), ICMPV6))
    rest_at = _CHECKSUM_AT + _CHECKSUM_BYTES
    frame = (
        _ETHERNET.pack(_ALL_NODES_MAC, mac, TYPE_IPV6)
        + _IPV6.pack(_VERSION_6, len(message), ICMPV6, hop_limit, source, _ALL_NODES)
        + message[:_CHECKSUM_AT]
        + pseudo.to_bytes(_CHECKSUM_BYTES)
        + message[rest_at:]
    )
    return complete_partial(frame, _MESSAGE_AT, _MESSAGE_AT + _CHECKSUM_AT)
