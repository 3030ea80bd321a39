"""Writes captures as pcapng, which tcpdump, tshark and Wireshark read.

The format is that of draft-ietf-opsawg-pcapng: blocks of little-endian fields, each with its length
before and behind. Every text is an option with a length of its own, cut at MAX_TEXT_BYTES, so
nothing that a station is called can end a block early.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Literal, TypeAlias

from msgspec import Struct as View

Direction: TypeAlias = Literal["in", "out"]

MAX_TEXT_BYTES: Final = 4096
"""A longer name, description or comment in a capture is cut here."""
MAX_INTERFACES: Final = 4096
"""Interfaces of one capture: each port has its own, and those that find no room share the last."""
OTHERS: Final = "others"
"""The name of the interface that ports share."""

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_MAGIC: Final = 0x1A2B3C4D
_ETHERNET: Final = 1
_END, _COMMENT = 0, 1
_SECTION_APPLICATION: Final = 4
_INTERFACE_NAME, _INTERFACE_DESCRIPTION = 2, 3
_PACKET_FLAGS, _PACKET_LOST = 2, 4
_STATISTICS_BEGAN, _STATISTICS_ENDED, _STATISTICS_RECEIVED, _STATISTICS_LOST = 2, 3, 4, 5
_FLAGS: Final[dict[Direction, int]] = {"in": 1, "out": 2}

_HEAD: Final = Struct("<II")
_TAIL: Final = Struct("<I")
_OPTION: Final = Struct("<HH")
_SECTION_FIELDS: Final = Struct("<IHHq")
_INTERFACE_FIELDS: Final = Struct("<HHI")
_PACKET_FIELDS: Final = Struct("<IIIII")
_STATISTICS_FIELDS: Final = Struct("<III")
_NUMBER: Final = Struct("<I")
_COUNT: Final = Struct("<Q")
_TIME: Final = Struct("<II")


class Packet(View, frozen=True, kw_only=True):
    """A frame to write."""

    time_s: float
    """Unix time."""
    data: bytes
    """The frame, or the beginning of it."""
    size_bytes: int
    """The length of the whole frame."""
    direction: Direction
    comment: str
    lost: int = 0
    """Copies of frames of this port that were lost since the one before."""


class _Interface:
    """What is counted of one interface, for the statistics."""

    __slots__ = ("lost", "packets")

    def __init__(self) -> None:
        self.packets = self.lost = 0


class PcapngWriter:
    """One capture: each method returns the bytes to write next."""

    def __init__(self, snap_bytes: int, now_s: float) -> None:
        """No frame is longer than `snap_bytes`; the capture begins at `now_s`, a Unix time."""
        self._snap_bytes = snap_bytes
        self._began_s = now_s
        self._numbers: dict[str, int] = {}
        self._interfaces: list[_Interface] = []

    @property
    def packets(self) -> int:
        """How many frames were written."""
        return sum(interface.packets for interface in self._interfaces)

    @property
    def lost(self) -> int:
        """How many copies were lost."""
        return sum(interface.lost for interface in self._interfaces)

    def begin(self, version: str, comment: str) -> bytes:
        """Return the section's header: `version` is that of vpnws, `comment` what is captured."""
        application = _text(_SECTION_APPLICATION, f"vpnws {version}")
        fields = _SECTION_FIELDS.pack(_MAGIC, 1, 0, -1)
        return _block(_SECTION, fields, application, _text(_COMMENT, comment))

    def add_port(self, port: str, description: str) -> bytes:
        """Return the block of an interface for `port`; nothing if it has one, or shares OTHERS."""
        if port in self._numbers or OTHERS in self._numbers:
            return b""
        if len(self._interfaces) == MAX_INTERFACES - 1:
            port, description = OTHERS, "ports that found no interface of their own"
        self._numbers[port] = len(self._interfaces)
        self._interfaces.append(_Interface())
        names = _text(_INTERFACE_NAME, port), _text(_INTERFACE_DESCRIPTION, description)
        fields = _INTERFACE_FIELDS.pack(_ETHERNET, 0, self._snap_bytes)
        return _block(_INTERFACE, fields, *names)

    def add_packet(self, port: str, packet: Packet) -> bytes:
        """Return the block of a frame of `port`, which `add_port` has been called with."""
        number = self._number_of(port)
        data = packet.data[: self._snap_bytes]
        fields = _PACKET_FIELDS.pack(number, *_time(packet.time_s), len(data), packet.size_bytes)
        options = [
            _text(_COMMENT, packet.comment),
            _option(_PACKET_FLAGS, _NUMBER.pack(_FLAGS[packet.direction])),
        ]
        if packet.lost:
            options.append(_option(_PACKET_LOST, _COUNT.pack(packet.lost)))
        interface = self._interfaces[number]
        interface.packets += 1
        interface.lost += packet.lost
        return _block(_PACKET, fields + _padded(data), *options)

    def lose(self, port: str, lost: int) -> None:
        """Count copies of frames of `port` that no block can tell of, because none followed."""
        self._interfaces[self._number_of(port)].lost += lost

    def end(self, now_s: float, comment: str = "") -> bytes:
        """Return the statistics of every interface: how many frames, and how many copies lost.

        The first have `comment`, if there is one.
        """
        numbers = range(1, len(self._interfaces))
        first = self._statistics(0, now_s, comment)
        return b"".join((first, *(self._statistics(number, now_s) for number in numbers)))

    def statistics(self, port: str, now_s: float) -> bytes:
        """Return the statistics of one port's interface so far; they may come again."""
        return self._statistics(self._number_of(port), now_s)

    def _statistics(self, number: int, now_s: float, comment: str = "") -> bytes:
        interface = self._interfaces[number]
        comments = (_text(_COMMENT, comment),) if comment else ()
        return _block(
            _STATISTICS,
            _STATISTICS_FIELDS.pack(number, *_time(now_s)),
            *comments,
            _option(_STATISTICS_BEGAN, _TIME.pack(*_time(self._began_s))),
            _option(_STATISTICS_ENDED, _TIME.pack(*_time(now_s))),
            _option(_STATISTICS_RECEIVED, _COUNT.pack(interface.packets + interface.lost)),
            _option(_STATISTICS_LOST, _COUNT.pack(interface.lost)),
        )

    def _number_of(self, port: str) -> int:
        number = self._numbers.get(port)
        return self._numbers[OTHERS] if number is None else number


def _time(time_s: float) -> tuple[int, int]:
    """Return a time in microseconds, the format's default, as its upper and lower 32 bits."""
    return divmod(round(time_s * 1e6), 1 << 32)


def _padded(data: bytes) -> bytes:
    """Return `data` up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + _padded(value)


def _text(code: int, text: str) -> bytes:
    """Return an option of UTF-8; what cannot be encoded becomes '?'."""
    value = text.encode("utf-8", "replace")[:MAX_TEXT_BYTES]
    return _option(code, value.decode("utf-8", "ignore").encode())


def _block(kind: int, fields: bytes, *options: bytes) -> bytes:
    body = b"".join((fields, *options, _OPTION.pack(_END, 0)))
    size = _HEAD.size + len(body) + _TAIL.size
    return _HEAD.pack(kind, size) + body + _TAIL.pack(size)
