"""QEMU's framing of Ethernet on a stream: 4 bytes of length, big-endian, then the frame.

It is that of `-netdev stream` and of passt (QEMU's net/stream.c). No virtio header precedes a
frame, and nothing else is ever sent.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.records import MAX_FRAME_BYTES

LENGTH: Final = Struct(">I")
LENGTH_BYTES: Final = 4
MAX_READ_BYTES: Final = 2 * (LENGTH_BYTES + MAX_FRAME_BYTES)
"""The buffer for what a guest has sent: two of the longest frames. The rest waits in the socket,
and then in the guest."""


class BadLengthError(Exception):
    """A length that no frame has: the stream cannot be understood any more."""


class FrameReader:
    """Cuts a stream into frames, in one buffer of MAX_READ_BYTES."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(MAX_READ_BYTES))
        self._start = self._end = 0

    def room(self) -> memoryview:
        """Return where to put what comes next; it has room for at least the rest of a frame."""
        if self._start:
            kept = self._end - self._start
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
        return self._buffer[self._end :]

    def received(self, count: int) -> None:
        """Take note that `count` bytes are in the room now."""
        self._end += count

    def next(self) -> memoryview | None:
        """Return the next frame, None if it is not whole yet; it is valid until `room`.

        Raises BadLengthError for one without a whole header, and for one longer than a TAP's.
        """
        length = self._length()
        if length is None or self._end - self._start - LENGTH_BYTES < length:
            return None
        begin = self._start + LENGTH_BYTES
        self._start = begin + length
        return self._buffer[begin : self._start]

    def has_frame(self) -> bool:
        """Return whether `next` has something to say: a whole frame, or a bad length."""
        try:
            length = self._length()
        except BadLengthError:
            return True
        return length is not None and self._end - self._start - LENGTH_BYTES >= length

    def _length(self) -> int | None:
        if self._end - self._start < LENGTH_BYTES:
            return None
        (length,) = LENGTH.unpack_from(self._buffer, self._start)
        if not HEADER_BYTES <= length <= MAX_FRAME_BYTES:
            raise BadLengthError(f"a frame of {length} bytes")
        return int(length)
