"""The one reader and writer of DHCPv4 messages (RFC 2131, 2132), as clients and servers need them.

Reading is bounded and raises nothing, whatever bytes a stranger sent. Options may be cut in parts
(RFC 3396) and may go on in the fields for a file's and a server's name (option 52, RFC 2132 9.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import MAC_BYTES
from vpnws.wire.headers import UDP, Headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vpnws.wire.buffer import Buffer

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
MIN_MESSAGE_BYTES: Final = 300
"""A shorter message is padded: relays and servers of BOOTP drop it (RFC 1542 2.1)."""
MAX_MESSAGE_BYTES: Final = 1472
"""What comes behind this in a message is not read: a packet of 1,500 bytes carries no more."""
DEFAULT_MAX_BYTES: Final = 548
"""The longest message for whoever does not say what it takes: a packet of 576 bytes (RFC 2131 2).
Options that find no room are left out."""
MAX_ROUTES: Final = 64
"""Routes that are read of one message; further ones are ignored."""
NO_IP: Final = bytes(4)
FOREVER: Final = 0xFFFFFFFF
"""A lease of so many seconds has no end (RFC 2131 3.3)."""
RENEW_PART, REBIND_PART = 0.5, 0.875
"""When a lease is to be renewed and rebound, in parts of its time (RFC 2131 4.4.5)."""

BOOTREQUEST: Final = 1
BOOTREPLY: Final = 2
"""Who speaks: the client, or the server (RFC 2131 2, `op`)."""
_ETHERNET: Final = 1
_FIXED: Final = Struct(">BBBBIHH4s4s4s4s16s64s128s4s")
"""op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file,
magic cookie (RFC 2131 2, RFC 2132 2)."""
_COOKIE: Final = bytes.fromhex("63825363")
_BROADCAST_FLAG: Final = 0x8000
_PAD, _END = 0, 255
_IN_FILE, _IN_NAME = 1, 2
"""The bits of option 52."""
_PART_BYTES: Final = 255


class Way(IntEnum):
    """Where a DHCP message goes, by its port (RFC 2131 4.1, RFC 8415 7.2)."""

    TO_SERVER = 1
    TO_CLIENT = 2


_WAYS: Final = {
    (4, SERVER_PORT): Way.TO_SERVER,
    (4, CLIENT_PORT): Way.TO_CLIENT,
    (6, 547): Way.TO_SERVER,
    (6, 546): Way.TO_CLIENT,
}
"""By IP's version and the destination's port."""


class Kind(IntEnum):
    """What a message is (RFC 2132 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(IntEnum):
    """The options that are read or written here (RFC 2132, RFC 3442)."""

    SUBNET_MASK = 1
    ROUTERS = 3
    DNS = 6
    HOST_NAME = 12
    MTU = 26
    STATIC_ROUTES = 33
    REQUESTED_IP = 50
    LEASE_S = 51
    OVERLOAD = 52
    KIND = 53
    SERVER_ID = 54
    PARAMETERS = 55
    MAX_BYTES = 57
    RENEWAL_S = 58
    REBINDING_S = 59
    CLIENT_ID = 61
    CLASSLESS_ROUTES = 121


@dataclass(frozen=True, slots=True)
class Message:
    """One message; addresses are 4 bytes, and NO_IP stands for none."""

    op: int
    kind: int
    """A Kind, or a number that is none; 0 for a message of BOOTP, which does not say."""
    xid: int
    mac: bytes
    """The client's (`chaddr`)."""
    secs: int = 0
    is_broadcast: bool = False
    """Whether the client cannot take a packet to an address that it does not have yet."""
    ciaddr: bytes = NO_IP
    yiaddr: bytes = NO_IP
    siaddr: bytes = NO_IP
    giaddr: bytes = NO_IP
    options: Mapping[int, bytes] = field(default_factory=dict)
    """Without the kind, which `encode` adds."""

    def ip(self, option: Option) -> bytes:
        """Return the first address of an option; NO_IP if it has none."""
        value = self.options.get(option, b"")
        return value[:4] if len(value) >= 4 else NO_IP

    def number(self, option: Option) -> int | None:
        """Return a number of 4 bytes; None if there is none."""
        value = self.options.get(option, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else None

    def short(self, option: Option) -> int | None:
        """Return a number of 2 bytes; None if there is none."""
        value = self.options.get(option, b"")
        return int.from_bytes(value, "big") if len(value) == 2 else None


def way_of(headers: Headers) -> Way | None:
    """Return where a DHCP message of either version goes; None if it is something else."""
    ports = headers.ports if headers.protocol == UDP else None
    return None if ports is None else _WAYS.get((headers.version, ports[1]))


def read_message(data: Buffer) -> Message | None:
    """Read the payload of a UDP datagram; None if it is no DHCPv4 of an Ethernet host."""
    data = bytes(data[:MAX_MESSAGE_BYTES])
    if len(data) < _FIXED.size:
        return None
    op, kind, size, _hops, xid, secs, flags, *rest = _FIXED.unpack_from(data)
    ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie = rest
    if (kind, size, cookie) != (_ETHERNET, MAC_BYTES, _COOKIE) or op not in (
        BOOTREQUEST,
        BOOTREPLY,
    ):
        return None
    options = _read_options(data[_FIXED.size :], file, sname)
    said = options.pop(Option.KIND, b"")
    return Message(
        op,
        said[0] if len(said) == 1 else 0,
        xid,
        chaddr[:MAC_BYTES],
        secs,
        bool(flags & _BROADCAST_FLAG),
        ciaddr,
        yiaddr,
        siaddr,
        giaddr,
        options,
    )


def encode(message: Message, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """Write a message of at most `max_bytes`, which is DEFAULT_MAX_BYTES or more.

    Its options stand in their order: first in their own field, then in those for a file's and a
    server's name. One that finds no room is left out, so the important ones come first.
    """
    kind = bytes((Option.KIND, 1, message.kind))
    parts = [_encode_option(code, value) for code, value in message.options.items()]
    # Room for the kind before them, and for option 52 and the end behind them.
    own, left = _fill(parts, max_bytes - _FIXED.size - len(kind) - 4)
    file, left = _fill(left, 128 - 1)
    name, _left_out = _fill(left, 64 - 1)
    where = (_IN_FILE if file else 0) | (_IN_NAME if name else 0)
    overload = bytes((Option.OVERLOAD, 1, where)) if where else b""
    fixed = _FIXED.pack(
        *(message.op, _ETHERNET, MAC_BYTES, 0, message.xid, message.secs),
        _BROADCAST_FLAG if message.is_broadcast else 0,
        *(message.ciaddr, message.yiaddr, message.siaddr, message.giaddr, message.mac),
        *(_closed(name), _closed(file), _COOKIE),
    )
    return (fixed + kind + overload + own + bytes((_END,))).ljust(MIN_MESSAGE_BYTES, b"\0")


def _encode_option(code: int, value: bytes) -> bytes:
    """Write an option, in parts if it is longer than one may be (RFC 3396)."""
    starts = range(0, max(len(value), 1), _PART_BYTES)
    cut = [value[start : start + _PART_BYTES] for start in starts]
    return b"".join(bytes((code, len(part))) + part for part in cut)


def _fill(parts: list[bytes], room_bytes: int) -> tuple[bytes, list[bytes]]:
    """Return as many of `parts` as fit, joined, and those that did not."""
    taken, left = b"", []
    for part in parts:
        if len(taken) + len(part) <= room_bytes:
            taken += part
        else:
            left.append(part)
    return taken, left


def _closed(options: bytes) -> bytes:
    return options + bytes((_END,)) if options else b""


def _read_options(own: bytes, file: bytes, name: bytes) -> dict[int, bytes]:
    """Return the value of each option: its parts, joined in the order of RFC 3396 5."""
    options = _join({}, own)
    where = options.pop(Option.OVERLOAD, b"\0")[:1]
    if where and where[0] & _IN_FILE:
        _join(options, file)
    if where and where[0] & _IN_NAME:
        _join(options, name)
    options.pop(Option.OVERLOAD, None)
    return options


def _join(options: dict[int, bytes], data: bytes) -> dict[int, bytes]:
    for code, value in _parts(data):
        options[code] = options.get(code, b"") + value
    return options


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (code, value) for each whole option (RFC 2132 2)."""
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        value_at = at + 2
        if value_at > len(data) or value_at + data[at + 1] > len(data):
            return
        yield data[at], data[value_at : value_at + data[at + 1]]
        at = value_at + data[at + 1]
