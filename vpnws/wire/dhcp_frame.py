"""DHCPv4 messages in Ethernet frames: wrapped with right checksums, and found in what came in."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.wire.dhcp import (
    CLIENT_PORT,
    DEFAULT_MAX_BYTES,
    SERVER_PORT,
    Message,
    Way,
    encode,
    read_message,
    way_of,
)
from vpnws.wire.ethernet import ADDRESSES_BYTES, BROADCAST
from vpnws.wire.headers import IPV4_BYTES, TYPE_IPV4, UDP, UDP_BYTES, Headers
from vpnws.wire.segment import complete, sum_words

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

ALL: Final = b"\xff" * 4
"""The address of all hosts on the link."""
_TYPE: Final = TYPE_IPV4.to_bytes(2)
_IPV4: Final = Struct(">BBHHHBBH4s4s")
_UDP: Final = Struct(">HHHH")
_TTL: Final = 64
_CHECKSUM_AT: Final = 10
_UDP_CHECKSUM_AT: Final = 6
_MODULUS: Final = 0xFFFF


class Ends(NamedTuple):
    """Who sends a frame, and to whom: a MAC and an IP address each."""

    source_mac: bytes
    source_ip: bytes
    mac: bytes = BROADCAST
    ip: bytes = ALL


class Received(NamedTuple):
    """A message, with what its frame says of it."""

    message: Message
    way: Way
    ends: Ends
    tags: bytes
    """The frame's 802.1Q tags, which an answer has too."""


def wrap(message: Message, way: Way, ends: Ends, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """Return a frame without tags that carries `message`; its checksums are complete."""
    payload = encode(message, max_bytes)
    ports = (CLIENT_PORT, SERVER_PORT) if way is Way.TO_SERVER else (SERVER_PORT, CLIENT_PORT)
    datagram = _UDP.pack(*ports, UDP_BYTES + len(payload), 0) + payload
    total = IPV4_BYTES + len(datagram)
    header = _IPV4.pack(0x45, 0, total, 0, 0, _TTL, UDP, 0, ends.source_ip, ends.ip)
    check = (-sum_words(header) % _MODULUS).to_bytes(2)
    header = header[:_CHECKSUM_AT] + check + header[_CHECKSUM_AT + 2 :]
    frame = ends.mac + ends.source_mac + _TYPE + header + datagram
    return complete(frame, Headers(frame, 0, len(frame)))


def tagged(frame: bytes, tags: bytes) -> bytes:
    """Return `frame` with `tags` between its addresses and its type."""
    return frame[:ADDRESSES_BYTES] + tags + frame[ADDRESSES_BYTES:]


def unwrap(frame: Buffer) -> Received | None:
    """Return the message in `frame`; None if there is none, or a checksum says it was damaged.

    A checksum that the sender left for hardware to complete counts as right: a frame that never
    leaves the machine by a wire comes in like that.
    """
    frame = bytes(frame)
    headers = Headers(frame, 0, len(frame))
    way = way_of(headers) if headers.version == 4 else None
    if way is None or not headers.is_whole or not _is_undamaged(frame, headers):
        return None
    message = read_message(frame[headers.payload_at : headers.end])
    if message is None:
        return None
    ends = Ends(frame[6:12], headers.source, frame[:6], headers.destination)
    return Received(message, way, ends, frame[ADDRESSES_BYTES : headers.network_at - 2])


def _is_undamaged(frame: bytes, headers: Headers) -> bool:
    """Return whether UDP's checksum is right, absent (RFC 768), or not complete yet."""
    datagram = frame[headers.transport_at : headers.end]
    said = int.from_bytes(datagram[_UDP_CHECKSUM_AT : _UDP_CHECKSUM_AT + 2])
    pseudo = sum_words(headers.source + headers.destination) + UDP + len(datagram)
    if not said or said % _MODULUS == pseudo % _MODULUS:
        return True
    return not (sum_words(datagram) + pseudo) % _MODULUS
