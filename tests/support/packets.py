"""Builds TCP and UDP packets, whole or with work left to do for an offload.

It is the slow reference for what a cut packet looks like, and shares no code with vpnws: every
packet is built from scratch, and its checksums are added up word by word.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from .frames import (
    ACK,
    CWR,
    FIN,
    IPV4,
    IPV6,
    PSH,
    TCP,
    UDP,
    add_words,
    ethernet,
    ipv4_header,
    ipv6_header,
    pseudo_header,
    tcp,
    udp,
)

NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 1, 4, 5, 0x80
_CHECKSUM_AT = {TCP: 16, UDP: 6}
_TRAFFIC_CLASS = 2


@dataclass(frozen=True)
class Packet:
    """A TCP or UDP packet in a frame; every field has a plain default."""

    version: int = 4
    protocol: int = TCP
    payload: bytes = b""
    tags: tuple[tuple[int, int], ...] = ()
    """(type, tag control information) of each, the outer one first."""
    ip_options: bytes = b""
    extensions: tuple[tuple[int, bytes], ...] = ()
    """(kind, body without the first two bytes) of each; a body has 6 bytes, or 8 more, ..."""
    tcp_options: bytes = b""
    flags: int = ACK
    sequence: int = 1000
    number: int = 1
    """IPv4's identification."""
    do_not_fragment: bool = True
    source: bytes = bytes.fromhex("0a090001")
    destination: bytes = bytes.fromhex("0a090002")
    last_stop: bytes = b""
    """The address in the pseudo-header, if a routing header names another one than IP's."""
    ports: tuple[int, int] = (4000, 5000)
    urgent: int = 0
    macs: bytes = bytes.fromhex("020000000002020000000001")

    @property
    def link(self) -> bytes:
        """The Ethernet header and its tags."""
        return ethernet(IPV4 if self.version == 4 else IPV6, b"", self.tags, self.macs)

    @property
    def addresses(self) -> tuple[bytes, bytes]:
        """Source and destination, 16 bytes each for IPv6."""
        if self.version == 4:
            return self.source, self.destination
        return b"\xfd" + self.source.rjust(15, b"\0"), b"\xfd" + self.destination.rjust(15, b"\0")

    @property
    def transport_at(self) -> int:
        """The offset of the TCP or UDP header in the frame."""
        return len(self.link) + len(self._network(0))

    @property
    def payload_at(self) -> int:
        """The offset of the payload in the frame."""
        return self.transport_at + len(self._transport(0, 0))

    def frame(self, *, zero: int = 0) -> bytes:
        """Return the packet complete; `zero` is how a checksum of zero is written."""
        length = len(self._transport(0, 0)) + len(self.payload)
        whole = self._pseudo(length) + self._transport(0, length) + self.payload
        return self._frame(self._transport(0xFFFF - add_words(whole) or zero, length))

    def partial(self) -> bytes:
        """Return the packet as a kernel leaves it to an offload: its pseudo-header is summed."""
        length = len(self._transport(0, 0)) + len(self.payload)
        return self._frame(self._transport(add_words(self._pseudo(length)), length))

    def vnet(self, gso_size: int = 0, *, ecn: bool = False) -> bytes:
        """Return the virtio header that goes with `partial`."""
        offset = _CHECKSUM_AT[self.protocol]
        if not gso_size:
            return struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, self.transport_at, offset)
        kind = {(4, TCP): GSO_TCPV4, (6, TCP): GSO_TCPV6}.get(
            (self.version, self.protocol), GSO_UDP_L4
        )
        kind |= GSO_ECN if ecn else 0
        start, headers = self.transport_at, self.payload_at
        return struct.pack("<BBHHHH", NEEDS_CSUM, kind, headers, gso_size, start, offset)

    def cut(self, gso_size: int) -> list[Packet]:
        """Return the packets that carry the payload, `gso_size` bytes in each."""
        starts = range(0, len(self.payload), gso_size)
        return [
            replace(
                self,
                payload=self.payload[start : start + gso_size],
                sequence=(self.sequence + start) % (1 << 32),
                number=(self.number + index) % (1 << 16),
                flags=self.flags
                & ~(CWR if index > 0 else 0)
                & ~(FIN | PSH if index < len(starts) - 1 else 0),
            )
            for index, start in enumerate(starts)
        ]

    def wire(self, gso_size: int = 0) -> list[bytes]:
        """Return the frames that a record of this packet becomes.

        A checksum of zero is written as 0xffff with UDP, and where Linux only completes a checksum.
        """
        if not gso_size or len(self.payload) <= gso_size:
            return [self.frame(zero=0xFFFF)]
        zero = 0xFFFF if self.protocol == UDP else 0
        return [packet.frame(zero=zero) for packet in self.cut(gso_size)]

    def _frame(self, transport: bytes) -> bytes:
        rest = transport + self.payload
        return self.link + self._network(len(rest)) + rest

    def _network(self, length: int) -> bytes:
        common = self.protocol, self.addresses, _TRAFFIC_CLASS
        if self.version == 6:
            return ipv6_header(length, *common, 63, self.extensions)
        fragment = 0x4000 if self.do_not_fragment else 0
        return ipv4_header(length, *common, fragment, self.ip_options, number=self.number, hops=63)

    def _transport(self, check: int, length: int) -> bytes:
        if self.protocol == UDP:
            return udp(b"", self.ports, check=check, length=length)
        return tcp(
            b"",
            self.ports,
            sequence=self.sequence,
            flags=self.flags,
            options=self.tcp_options,
            check=check,
            urgent=self.urgent,
        )

    def _pseudo(self, length: int) -> bytes:
        source, destination = self.addresses
        return pseudo_header(self.protocol, (source, self.last_stop or destination), length)
