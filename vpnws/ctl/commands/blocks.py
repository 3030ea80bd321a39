"""Cuts a stream of pcapng into whole blocks, and counts its frames and its lost copies.

A file that ends between two blocks can be read, wherever the stream was cut off
(draft-ietf-opsawg-pcapng, 3.1 and 4).
"""

from __future__ import annotations

import struct
from typing import Final, Literal, TypeAlias

from vpnws.errors import ConnectError

MAX_BLOCK_BYTES: Final = 1 << 20
"""A stream with a longer block is given up: it is no capture."""
_SECTION: Final = 0x0A0D0D0A
_STATISTICS: Final = 5
_PACKET: Final = 6
_LITTLE: Final = bytes.fromhex("4d3c2b1a")
"""The byte-order magic of a section, as a little-endian machine writes it."""
_BIG: Final = bytes.fromhex("1a2b3c4d")
_MIN_BLOCK_BYTES: Final = 12
"""A stream with a shorter block is given up."""
_MIN_SECTION_BYTES: Final = 28
"""A stream with a shorter section header is given up."""
_STATISTICS_FIXED_BYTES: Final = 12
_PACKET_FIXED_BYTES: Final = 20
_OPTION_END: Final = 0
_OPTION_COMMENT: Final = 1
_OPTION_DROPPED_BEFORE: Final = 4
"""epb_dropcount: what its interface has lost since the packet before."""
_OPTION_DROPPED: Final = 5
"""isb_ifdrop: what the interface lost for want of room."""
_COUNT_BYTES: Final = 8
Order: TypeAlias = Literal["<", ">"]


class Blocks:
    """A stream of pcapng, as far as it has come."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.frames = 0
        self.comment = ""
        """What the last statistics with a comment say: why the capture ended."""
        self._lost: dict[int, int] = {}
        self._order: Order = "<"
        self._rest = bytearray()

    @property
    def lost(self) -> int:
        """How many copies were lost, as far as packets and statistics have told."""
        return sum(self._lost.values())

    def feed(self, data: bytes) -> bytes:
        """Take what came; return the whole blocks that there are now, perhaps none.

        Raises ConnectError if this is no pcapng.
        """
        self._rest += data
        done = 0
        while length := self._next_length(done):
            if done + length > len(self._rest):
                break
            self._count(memoryview(self._rest)[done : done + length])
            done += length
        whole = bytes(self._rest[:done])
        del self._rest[:done]
        return whole

    def _next_length(self, begin: int) -> int:
        """Return the length of the block at `begin`, 0 if not enough of it is here."""
        if len(self._rest) - begin < _MIN_BLOCK_BYTES:
            return 0
        (kind,) = struct.unpack_from("<I", self._rest, begin)
        if kind == _SECTION:
            self._order = _order_of(bytes(self._rest[begin + 8 : begin + 12]))
        (length,) = struct.unpack_from(f"{self._order}I", self._rest, begin + 4)
        least = _MIN_SECTION_BYTES if kind == _SECTION else _MIN_BLOCK_BYTES
        if not least <= length <= MAX_BLOCK_BYTES or length % 4:
            raise ConnectError("the server sent no pcapng: is it a much older or newer vpnws?")
        return int(length)

    def _count(self, block: memoryview) -> None:
        (kind,) = struct.unpack_from(f"{self._order}I", block)
        fixed = {_PACKET: _PACKET_FIXED_BYTES, _STATISTICS: _STATISTICS_FIXED_BYTES}.get(kind)
        if fixed is None or len(block) < _MIN_BLOCK_BYTES + fixed:
            return
        (interface,) = struct.unpack_from(f"{self._order}I", block, 8)
        if kind == _STATISTICS:
            # Statistics count from the beginning, packets from the one before.
            options = block[8 + fixed : -4]
            lost = self._number(options, _OPTION_DROPPED)
            self._lost[interface] = max(lost, self._lost.get(interface, 0))
            comment = self._option(options, _OPTION_COMMENT)
            self.comment = comment.decode(errors="replace") or self.comment
            return
        self.frames += 1
        (length,) = struct.unpack_from(f"{self._order}I", block, 20)
        lost = self._number(block[8 + fixed + length + -length % 4 : -4], _OPTION_DROPPED_BEFORE)
        self._lost[interface] = self._lost.get(interface, 0) + lost

    def _number(self, options: memoryview, wanted: int) -> int:
        """Return the number that an option of a block has, 0 if it is not there."""
        value = self._option(options, wanted)
        return int(struct.unpack(f"{self._order}Q", value)[0]) if len(value) == _COUNT_BYTES else 0

    def _option(self, options: memoryview, wanted: int) -> bytes:
        """Return the value of the first such option of a block, empty if it is not there."""
        at = 0
        while at + 4 <= len(options):
            code, length = struct.unpack_from(f"{self._order}HH", options, at)
            if code == _OPTION_END:
                break
            if code == wanted:
                return bytes(options[at + 4 : at + 4 + length])
            at += 4 + length + -length % 4
        return b""


def _order_of(magic: bytes) -> Order:
    if magic not in (_LITTLE, _BIG):
        raise ConnectError("the server sent no pcapng: is it a much older or newer vpnws?")
    return "<" if magic == _LITTLE else ">"
