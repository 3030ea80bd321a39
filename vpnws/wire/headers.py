"""The one reader of a frame's headers: Ethernet, tags, IPv4, IPv6, TCP and UDP.

Guards, queues and the offload all use `Headers`. No other module reads a type, an address or a port
out of a frame. Nothing here raises, whatever bytes a stranger sent.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire import ip_options
from vpnws.wire.ethernet import HEADER_BYTES, MAC_BYTES, MAX_TAGS_BYTES, TAG_BYTES

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

TYPE_IPV4: Final = 0x0800
TYPE_ARP: Final = 0x0806
TYPE_IPV6: Final = 0x86DD
IPV4_BYTES: Final = 20
IPV6_BYTES: Final = 40
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58
NO_PROTOCOL: Final = -1
MIN_HEADER_BYTES: Final = {TCP: 20, UDP: 8}
"""The shortest TCP and the shortest UDP header."""
TCP_BYTES: Final = MIN_HEADER_BYTES[TCP]
UDP_BYTES: Final = MIN_HEADER_BYTES[UDP]
ADDRESSES_AT: Final = {0: 0, 4: 12, 6: 8}
"""Where IP's source and then its destination are, by the version; version 0 means no IP."""
ADDRESS_BYTES: Final = {0: 0, 4: 4, 6: 16}

TAG_TYPES: Final = (0x8100, 0x88A8)
"""IEEE 802.1Q and 802.1ad."""
_TYPE_AT: Final = 2 * MAC_BYTES
_TAGGED_BYTES: Final = HEADER_BYTES + MAX_TAGS_BYTES
_UINT16: Final = Struct(">H")
_VLAN_ID: Final = 0x0FFF
_IP_BYTES: Final = {0: 0, 4: IPV4_BYTES, 6: IPV6_BYTES}
_IPV4: Final = Struct(">BxH2xHxB")
"""Version and length, total length, flags and fragment offset, protocol."""
_IPV4_STARTS: Final = range(0x45, 0x50)
"""Version 4, and a header of at least five words."""
_IPV4_START: Final = 0x45
"""Version 4, and no options."""
_IPV4_WORDS: Final = 0x0F
_FRAGMENT: Final = 0x3FFF
"""More fragments, and the offset (RFC 791 3.1); a packet with neither is whole."""
_FRAGMENT_OFFSET: Final = 0x1FFF
_IPV6: Final = Struct(">B3xHB")
"""Version, payload length, next header."""
_NEXT_HEADER_AT: Final = 6
_HOP_LIMIT_AT: Final = 7
_PORTS: Final = Struct(">HH")
_PORTS_BYTES: Final = _PORTS.size
_WITH_PORTS: Final = frozenset((TCP, UDP, 33, 132, 136))
"""TCP, UDP, DCCP, SCTP, UDP-Lite: their headers begin with the two ports."""
_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(256))
_UDP_LENGTH_AT: Final = 4
_TCP_OFFSET_AT: Final = 12
_SHORTEST_IPV4: Final = Struct(">12xHBxH2xHxB14xH2x")
_SHORTEST_IPV6: Final = Struct(">12xHB3xHB37xH2x")
"""The shortest headers in a row: Ethernet's type, the fields of _IPV4 or _IPV6, UDP's length."""
_UDP4_BYTES: Final = _SHORTEST_IPV4.size
_UDP6_BYTES: Final = _SHORTEST_IPV6.size
_TCP4_BYTES: Final = HEADER_BYTES + IPV4_BYTES + TCP_BYTES
_TCP6_BYTES: Final = HEADER_BYTES + IPV6_BYTES + TCP_BYTES


class Headers:
    """Where the headers of one frame are, and what they say.

    It does not copy the frame, so it is valid only until the buffer changes. `end` and each
    `..._at` count from the frame's first byte. Only `is_whole` checks that the lengths agree.
    """

    __slots__ = (
        "at", "buffer", "end", "ethertype", "fragment", "last_stop_at", "network_at", "next_header",
        "protocol", "size", "transport_at", "version",
    )  # fmt: skip

    ethertype: int
    """The type after the tags; 0 if the frame ends before it."""
    network_at: int
    """Where the Ethernet header ends, tags included."""
    version: int
    """IP's version, 4 or 6; 0 if there is no whole IP header of the version that the type says."""
    next_header: int
    """What IP's own header says comes next: in IPv4 the protocol. NO_PROTOCOL without IP."""
    protocol: int
    """What begins at `transport_at`, after IPv6's extension headers. NO_PROTOCOL without IP."""
    transport_at: int
    """Where IP's header ends, options and extension headers included."""
    end: int
    """Where IP says that its packet ends. The frame may be longer (padding) or shorter."""
    fragment: int
    """IPv4's flag for more fragments and the fragment offset; 0 if the packet is whole."""
    last_stop_at: int
    """Where the address of the packet's last stop is; 0 if that is unknown."""

    def __init__(self, buffer: Buffer, at: int, size: int) -> None:
        """Read the frame at `at` in `buffer`, which has all of its `size` bytes."""
        kind, network_at = _read_type(buffer, at, size)
        self.buffer, self.at, self.size = buffer, at, size
        self.ethertype = kind
        self.network_at = self.transport_at = network_at
        self.version = self.fragment = self.last_stop_at = 0
        self.next_header = self.protocol = NO_PROTOCOL
        self.end = size
        if kind == TYPE_IPV4 and size >= network_at + IPV4_BYTES:
            self._read_ipv4()
        elif kind == TYPE_IPV6 and size >= network_at + IPV6_BYTES:
            self._read_ipv6()

    @property
    def vlans(self) -> tuple[int, ...]:
        """The VLAN id of each tag, the outer one first (IEEE 802.1Q 9.6)."""
        tags = range(HEADER_BYTES, self.network_at, TAG_BYTES)
        return tuple(_UINT16.unpack_from(self.buffer, self.at + at)[0] & _VLAN_ID for at in tags)

    @property
    def source(self) -> bytes:
        """IP's source: 4 or 16 bytes; empty without IP."""
        return self._address(0)

    @property
    def destination(self) -> bytes:
        """IP's destination: 4 or 16 bytes; empty without IP. With a source route: the next stop."""
        return self._address(1)

    @property
    def has_options(self) -> bool:
        """Whether IPv4's options or IPv6's extension headers follow IP's own header."""
        return self.transport_at > self.network_at + _IP_BYTES[self.version]

    @property
    def may_go_on(self) -> bool:
        """Whether a source route in the packet may take it further than its destination."""
        if self.version == 4:
            return self.has_options
        start, end = self.at + self.network_at + IPV6_BYTES, self.at + min(self.end, self.size)
        return ip_options.may_route(self.buffer, start, end, self.next_header)

    @property
    def hop_limit(self) -> int:
        """How many more routers may forward an IPv6 packet; 0 for everything else."""
        return self.buffer[self.at + self.network_at + _HOP_LIMIT_AT] if self.version == 6 else 0

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source port and destination port; None if there are none, and in later fragments."""
        is_readable = self.size >= self.transport_at + _PORTS_BYTES
        if self.protocol not in _WITH_PORTS or self.fragment & _FRAGMENT_OFFSET or not is_readable:
            return None
        source, destination = _PORTS.unpack_from(self.buffer, self.at + self.transport_at)
        return source, destination

    @property
    def is_whole(self) -> bool:
        """Whether this is a whole TCP or UDP packet: its lengths agree, and its last stop is known.

        Only such a frame can be cut, or have its checksum completed.
        """
        min_bytes = MIN_HEADER_BYTES.get(self.protocol)
        if min_bytes is None or self.fragment or not self.last_stop_at:
            return False
        if self.end > self.size or self.transport_at + min_bytes > self.end:
            return False
        length_at = self.at + self.transport_at + _UDP_LENGTH_AT
        length = (self.end - self.transport_at,)
        return self.protocol == TCP or _UINT16.unpack_from(self.buffer, length_at) == length

    @property
    def payload_at(self) -> int:
        """Where the payload of a whole TCP or UDP packet begins (see `is_whole`)."""
        if self.protocol == UDP:
            return self.transport_at + UDP_BYTES
        offset = self.buffer[self.at + self.transport_at + _TCP_OFFSET_AT]
        return self.transport_at + (offset >> 4) * 4

    def _address(self, index: int) -> bytes:
        size = ADDRESS_BYTES[self.version]
        start = self.at + self.network_at + ADDRESSES_AT[self.version] + index * size
        return bytes(self.buffer[start : start + size])

    def _read_ipv4(self) -> None:
        network_at = self.network_at
        first, total, fragment, protocol = _IPV4.unpack_from(self.buffer, self.at + network_at)
        if first not in _IPV4_STARTS:
            return
        self.version = 4
        self.next_header = self.protocol = protocol
        self.fragment = fragment & _FRAGMENT
        self.transport_at = network_at + (first & _IPV4_WORDS) * 4
        self.end = network_at + total
        if first == _IPV4_START or not self._is_source_routed():
            self.last_stop_at = network_at + ADDRESSES_AT[4] + ADDRESS_BYTES[4]

    def _is_source_routed(self) -> bool:
        """Return whether IPv4's options route the packet; True also if they cannot be read."""
        start, end = self.at + self.network_at + IPV4_BYTES, self.at + self.transport_at
        return self.transport_at > self.size or ip_options.has_source_route(self.buffer, start, end)

    def _read_ipv6(self) -> None:
        network_at = self.network_at
        first, length, following = _IPV6.unpack_from(self.buffer, self.at + network_at)
        if first >> 4 != 6:
            return
        self.version = 6
        self.next_header = self.protocol = following
        self.transport_at = network_at + IPV6_BYTES
        self.end = self.transport_at + length
        self.last_stop_at = network_at + ADDRESSES_AT[6] + ADDRESS_BYTES[6]
        if following in ip_options.EXTENSIONS:
            self._pass_extensions()

    def _pass_extensions(self) -> None:
        at, start = self.at, self.at + self.transport_at
        end = at + min(self.end, self.size)
        chain = ip_options.pass_extensions(self.buffer, start, end, self.next_header)
        self.protocol, behind, last_stop = chain
        self.transport_at = behind - at
        if last_stop != start:
            self.last_stop_at = 0 if last_stop is None else last_stop - at


def flow_key(item: bytes, at: int) -> bytes:
    """Return what the frame from `at` to the end of `item` has in common with others of its flow.

    For IP: protocol, addresses and, unless it is a fragment, ports. Otherwise: the MACs and the
    type. A queue that is backed up calls this for every frame, so it does not make a `Headers`.
    """
    kind, network_at = _read_type(item, at, len(item) - at)
    start = at + network_at
    if kind == TYPE_IPV4 and len(item) >= start + IPV4_BYTES:
        fields: tuple[int, ...] = _IPV4.unpack_from(item, start)
        first, _, fragment, protocol = fields
        source_at, options_at = start + ADDRESSES_AT[4], start + IPV4_BYTES
        if protocol not in _WITH_PORTS or fragment & _FRAGMENT:
            return _ONE_BYTE[protocol] + item[source_at:options_at]
        if first == _IPV4_START:
            return _ONE_BYTE[protocol] + item[source_at : options_at + _PORTS_BYTES]
        ports_at = start + 4 * (first & _IPV4_WORDS)
        ports = item[ports_at : ports_at + _PORTS_BYTES]
        return _ONE_BYTE[protocol] + item[source_at:options_at] + ports
    if kind == TYPE_IPV6 and len(item) >= start + IPV6_BYTES:
        following = item[start + _NEXT_HEADER_AT]
        end = start + IPV6_BYTES + (_PORTS_BYTES if following in _WITH_PORTS else 0)
        return _ONE_BYTE[following] + item[start + ADDRESSES_AT[6] : end]
    return item[at : at + _TYPE_AT] + item[start - 2 : start]


def is_shortest_ipv4(buffer: Buffer, at: int, size: int, protocol: int) -> bool:
    """Return whether a frame without tags and options is whole, in half the time of `Headers`."""
    if size < _UDP4_BYTES:
        return False
    fields: tuple[int, ...] = _SHORTEST_IPV4.unpack_from(buffer, at)
    kind, first, total, fragment, there, udp_length = fields
    return (
        kind == TYPE_IPV4
        and first == _IPV4_START
        and total == size - HEADER_BYTES
        and there == protocol
        and not fragment & _FRAGMENT
        and (size >= _TCP4_BYTES if protocol == TCP else udp_length == total - IPV4_BYTES)
    )


def is_shortest_ipv6(buffer: Buffer, at: int, size: int, protocol: int) -> bool:
    """Return the same for IPv6: a whole frame without tags, extension headers and padding."""
    if size < _UDP6_BYTES:
        return False
    fields: tuple[int, ...] = _SHORTEST_IPV6.unpack_from(buffer, at)
    kind, first, length, there, udp_length = fields
    return (
        kind == TYPE_IPV6
        and first >> 4 == 6
        and length == size - HEADER_BYTES - IPV6_BYTES
        and there == protocol
        and (size >= _TCP6_BYTES if protocol == TCP else udp_length == length)
    )


def _read_type(buffer: Buffer, at: int, size: int) -> tuple[int, int]:
    """Return the type after the tags, and where it ends; type 0 if the frame ends before it."""
    network_at = HEADER_BYTES
    if size < network_at:
        return 0, network_at
    (kind,) = _UINT16.unpack_from(buffer, at + _TYPE_AT)
    while kind in TAG_TYPES and network_at < _TAGGED_BYTES:
        if size < network_at + TAG_BYTES:
            return 0, network_at
        network_at += TAG_BYTES
        (kind,) = _UINT16.unpack_from(buffer, at + network_at - 2)
    return kind, network_at
