"""Cuts a long TCP or UDP packet into short ones, and completes checksums (RFC 1071, 9293, 768).

What comes out is byte for byte what Linux's software segmentation (GSO) makes of the same packet.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.headers import ADDRESS_BYTES, ADDRESSES_AT, TCP, UDP, UDP_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.wire.headers import Headers

CHECKSUM_AT: Final = {TCP: 16, UDP: 6}
"""Where the checksum is in a TCP header (RFC 9293 3.1) and in a UDP header (RFC 768)."""
MAX_FOLDS: Final = 64
"""Lengths of data whose folds are remembered. The ones used least recently are forgotten, and
worked out again."""
_BLOCK_BYTES: Final = 64
_MODULUS: Final = 0xFFFF
"""Adding 16-bit words with end-around carry (RFC 1071) is adding modulo this."""
_MANGLED: Final = 0xFFFF
"""How UDP (RFC 768) writes a zero checksum, and Linux too where it only completes a checksum."""
_IPV4_FIELDS: Final = Struct(">HH4sH")
"""Total length, identification, fragment to protocol, checksum: from the header's third byte."""
_TCP_FIELDS: Final = Struct(">4sI5sB2sH")
"""Ports, sequence number, acknowledgement and offset, flags, window, checksum."""
_UDP_FIELDS: Final = Struct(">4sHH")
_FIN_PSH: Final = 0x09
_CWR: Final = 0x80


def complete(frame: bytes, headers: Headers) -> bytes:
    """Return `frame` with its TCP or UDP checksum computed from scratch."""
    field = headers.transport_at + CHECKSUM_AT[headers.protocol]
    segment = frame[headers.transport_at : headers.end]
    old = int.from_bytes(frame[field : field + 2], "big")
    total = _pseudo_sum(frame, headers) + len(segment) + sum_words(segment) - old
    return frame[:field] + (-total % _MODULUS or _MANGLED).to_bytes(2, "big") + frame[field + 2 :]


def complete_partial(frame: bytes, start: int, field: int) -> bytes:
    """Return `frame` with the checksum at `field` computed over everything from `start` on.

    The field must already hold the pseudo-header's sum, as virtio requires (1.2, 5.1.6.2).
    """
    total = sum_words(frame[start:])
    return frame[:field] + (-total % _MODULUS or _MANGLED).to_bytes(2, "big") + frame[field + 2 :]


def cut(frame: bytes, headers: Headers, gso_size: int) -> list[bytes]:
    """Return the packets, as frames, that carry `frame`'s payload, `gso_size` bytes in each."""
    payload_at = headers.payload_at
    if len(frame) - payload_at <= gso_size:
        return [complete(frame, headers)]
    payloads = [frame[at : at + gso_size] for at in range(payload_at, len(frame), gso_size)]
    if headers.protocol == TCP:
        transports = _tcp_headers(frame, headers, payload_at, payloads)
    else:
        transports = _udp_headers(frame, headers, payloads)
    transport_bytes = payload_at - headers.transport_at
    lengths = [transport_bytes + len(payload) for payload in payloads]
    if headers.version == 4:
        heads = _ipv4_heads(frame, headers, lengths)
    else:
        heads = _ipv6_heads(frame, headers, lengths)
    return [b"".join(parts) for parts in zip(heads, transports, payloads, strict=True)]


def _ipv4_heads(frame: bytes, headers: Headers, lengths: Iterable[int]) -> list[bytes]:
    """Return what precedes the TCP or UDP header of each packet.

    `lengths` are the bytes of each packet from that header on. Each packet has its own
    identification, even if it must not be fragmented.
    """
    at, transport = headers.network_at, headers.transport_at
    total, number, fixed, check = _IPV4_FIELDS.unpack_from(frame, at + 2)
    base = sum_words(frame[at:transport]) - total - number - check
    start, options = frame[: at + 2], frame[at + 12 : transport]
    pack, header_bytes, heads = _IPV4_FIELDS.pack, transport - at, []
    for length in lengths:
        total = header_bytes + length
        check = -(base + total + number) % _MODULUS
        heads.append(start + pack(total, number, fixed, check) + options)
        number = (number + 1) & 0xFFFF
    return heads


def _ipv6_heads(frame: bytes, headers: Headers, lengths: list[int]) -> list[bytes]:
    at, transport = headers.network_at, headers.transport_at
    start, rest = frame[: at + 4], frame[at + 6 : transport]
    extensions_bytes = len(rest) - 34
    first, last = (
        start + (extensions_bytes + length).to_bytes(2, "big") + rest
        for length in (lengths[0], lengths[-1])
    )
    return [first] * (len(lengths) - 1) + [last]


def _tcp_headers(
    frame: bytes, headers: Headers, payload_at: int, payloads: list[bytes]
) -> list[bytes]:
    """Return the TCP header of each payload: FIN and PSH go with the last, CWR with the first."""
    at = headers.transport_at
    ports, sequence, fixed, flags, window, check = _TCP_FIELDS.unpack_from(frame, at)
    options = frame[at + _TCP_FIELDS.size : payload_at]
    header_sum = sum_words(frame[at:payload_at]) - sequence - flags - check
    base = _pseudo_sum(frame, headers) + header_sum + payload_at - at
    pack, last, written = _TCP_FIELDS.pack, len(payloads) - 1, []
    now = flags & ~_FIN_PSH
    for index, payload in enumerate(payloads):
        if index == last:
            now = flags & ~_CWR
        check = -(base + sequence + now + len(payload) + sum_words(payload)) % _MODULUS
        written.append(pack(ports, sequence, fixed, now, window, check) + options)
        sequence = (sequence + len(payload)) & 0xFFFFFFFF
        now &= ~_CWR
    return written


def _udp_headers(frame: bytes, headers: Headers, payloads: list[bytes]) -> list[bytes]:
    ports = frame[headers.transport_at : headers.transport_at + 4]
    base = _pseudo_sum(frame, headers) + sum_words(ports)
    written = []
    for payload in payloads:
        length = UDP_BYTES + len(payload)
        check = -(base + 2 * length + sum_words(payload)) % _MODULUS or _MANGLED
        written.append(_UDP_FIELDS.pack(ports, length, check))
    return written


def _pseudo_sum(frame: bytes, headers: Headers) -> int:
    """Return the sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1) but for the length."""
    size = ADDRESS_BYTES[headers.version]
    source_at = headers.network_at + ADDRESSES_AT[headers.version]
    last_stop_at = headers.last_stop_at
    source = int.from_bytes(frame[source_at : source_at + size], "big")
    last_stop = int.from_bytes(frame[last_stop_at : last_stop_at + size], "big")
    return source + last_stop + headers.protocol


def sum_words(data: bytes) -> int:
    """Return the sum of `data` as big-endian 16-bit words, modulo 0xffff; a last byte is padded."""
    number = int.from_bytes(data, "big")
    for shift, mask in _folds((len(data) + _BLOCK_BYTES - 1) // _BLOCK_BYTES):
        number = (number >> shift) + (number & mask)
    rest = number % _MODULUS
    return rest << 8 if len(data) & 1 else rest


@lru_cache(maxsize=MAX_FOLDS)
def _folds(blocks: int) -> tuple[tuple[int, int], ...]:
    """Return shifts and masks that fold a number of `blocks` blocks: each adds its two halves.

    A shift by whole words keeps the sum, and a short number is divided in less time.
    """
    folds = []
    while blocks > 2:
        blocks = (blocks + 1) // 2
        shift = blocks * _BLOCK_BYTES * 8
        folds.append((shift, (1 << shift) - 1))
    return tuple(folds)
