"""Frames that hold IP packets, made byte by byte, and a checksum that knows nothing of vpnws."""

from __future__ import annotations

from itertools import pairwise

MACS = bytes.fromhex("020000000001020000000002")
TCP, UDP, ICMP, FRAGMENT = 6, 17, 1, 44
NOT_ECT, ECT_1, ECT_0, CE = 0, 1, 2, 3


def checksum(header: bytes) -> int:
    """Sum up 16-bit words with the carry around the end (RFC 1071), one by one."""
    total = 0
    for high, low in list(pairwise(header))[::2]:
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(kind: int, payload: bytes, tags: tuple[int, ...] = ()) -> bytes:
    """Put an Ethernet header, with 802.1Q tags of the given types, before `payload`."""
    shims = b"".join(tag.to_bytes(2, "big") + b"\x00\x07" for tag in tags)
    return MACS + shims + kind.to_bytes(2, "big") + payload


def ipv4(
    *,
    protocol: int = UDP,
    ports: tuple[int, int] = (1000, 2000),
    addresses: tuple[int, int] = (0x0A000001, 0x0A000002),
    service: int = NOT_ECT,
    fragment: int = 0,
    options: bytes = b"",
    payload: bytes = b"",
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with an IPv4 packet whose header checksum is right."""
    body = b"".join(port.to_bytes(2, "big") for port in ports) + payload
    length = 20 + len(options) + len(body)
    header = bytes((0x45 + len(options) // 4, service)) + (length & 0xFFFF).to_bytes(2, "big")
    header += b"\x00\x01" + fragment.to_bytes(2, "big") + bytes((64, protocol))
    ends = b"".join(address.to_bytes(4, "big") for address in addresses) + options
    total = checksum(header + b"\x00\x00" + ends)
    return frame(0x0800, header + total.to_bytes(2, "big") + ends + body, tags)


def ipv6(
    *,
    protocol: int = UDP,
    ports: tuple[int, int] = (1000, 2000),
    addresses: tuple[int, int] = (1, 2),
    service: int = NOT_ECT,
    payload: bytes = b"",
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with an IPv6 packet."""
    body = b"".join(port.to_bytes(2, "big") for port in ports) + payload
    first = (6 << 28 | service << 20 | 0x12345).to_bytes(4, "big")
    header = first + len(body).to_bytes(2, "big") + bytes((protocol, 64))
    ends = b"".join(address.to_bytes(16, "big") for address in addresses)
    return frame(0x86DD, header + ends + body, tags)
