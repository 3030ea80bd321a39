"""Two joined ends of a stream that behave like connected sockets, and misbehave if told to."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from tests.fakes.manual_loop import ManualLoop
    from vpnws.wire.buffer import Buffer

ROOM_BYTES: Final = 65536


@dataclass
class Way:
    """One direction: what was written and not yet read, in order."""

    on_its_way: deque[tuple[float, bytes]] = field(default_factory=deque)
    """What was written, and when it arrives."""
    arrived: bytearray = field(default_factory=bytearray)
    size_bytes: int = 0
    is_shut: bool = False
    """The writer has said that nothing more comes."""
    is_reset: bool = False
    """The reader learns that the connection is lost."""


class Wire:
    """A connection: `near` and `far` are its ends.

    Written bytes arrive after `delay_s`. Each way holds `room_bytes`; a write takes at most what
    is free and `max_write_bytes`. With `chooser` it takes any number of bytes from 1 to that. All
    of it may be changed on the way.
    """

    def __init__(
        self,
        loop: ManualLoop,
        *,
        room_bytes: int = ROOM_BYTES,
        max_write_bytes: int = ROOM_BYTES,
        delay_s: float = 0.0,
        chooser: random.Random | None = None,
    ) -> None:
        # A loop of its own: what is on its way belongs to neither side's process.
        self.loop = loop.fork()
        self.room_bytes = room_bytes
        self.max_write_bytes = max_write_bytes
        self.delay_s = delay_s
        self.chooser = chooser
        there, back = Way(), Way()
        left, right = _Side(self, there, back), _Side(self, back, there)
        left.other, right.other = right, left
        self.near, self.far = WireEnd(left), WireEnd(right)

    def break_off(self) -> None:
        """Lose the connection: neither side can read or write any more."""
        for end in (self.near, self.far):
            end.side.incoming.is_reset = True

    def accepts_bytes(self, way: Way, size_bytes: int) -> int:
        """Return how much of a write of `size_bytes` is taken now."""
        taken_bytes = min(size_bytes, self.room_bytes - way.size_bytes, self.max_write_bytes)
        if taken_bytes > 1 and self.chooser is not None:
            return self.chooser.randint(1, taken_bytes)
        return max(0, taken_bytes)


@dataclass(eq=False)
class _Side:
    """One end, however many descriptors it has."""

    wire: Wire
    outgoing: Way
    incoming: Way
    other: _Side = field(init=False)
    descriptors: int = 0

    @property
    def is_closed(self) -> bool:
        return not self.descriptors

    def is_readable(self) -> bool:
        way = self.incoming
        self._arrive(way)
        return bool(way.arrived or way.is_reset or (way.is_shut and not way.on_its_way))

    def is_writable(self) -> bool:
        way = self.outgoing
        is_over = self.incoming.is_reset or self.other.is_closed or way.is_shut
        return is_over or way.size_bytes < self.wire.room_bytes

    def write(self, data: bytes) -> int:
        way = self.outgoing
        if self.incoming.is_reset:
            raise _error(errno.ECONNRESET)
        if self.other.is_closed or way.is_shut:
            raise _error(errno.EPIPE)
        count = self.wire.accepts_bytes(way, len(data))
        if data and not count:
            raise _error(errno.EAGAIN)
        loop = self.wire.loop
        way.on_its_way.append((loop.now() + self.wire.delay_s, data[:count]))
        way.size_bytes += count
        if self.wire.delay_s:
            loop.after(self.wire.delay_s, lambda: None)
        return count

    def read(self, count: int) -> bytes:
        way = self.incoming
        self._arrive(way)
        if way.is_reset:
            raise _error(errno.ECONNRESET)
        if not way.arrived and not (way.is_shut and not way.on_its_way):
            raise _error(errno.EAGAIN)
        data = bytes(way.arrived[:count])
        del way.arrived[:count]
        way.size_bytes -= len(data)
        return data

    def close(self) -> None:
        self.descriptors -= 1
        if self.descriptors:
            return
        self.outgoing.is_shut = True
        self._arrive(self.incoming)
        if self.incoming.arrived:
            # As TCP does: what was sent and not yet read is lost too.
            self.outgoing.is_reset = True

    def _arrive(self, way: Way) -> None:
        now = self.wire.loop.now()
        while way.on_its_way and way.on_its_way[0][0] <= now:
            way.arrived += way.on_its_way.popleft()[1]


class WireEnd:
    """One descriptor of an end, with as much of a socket's interface as a connection needs."""

    family = socket.AF_UNIX

    def __init__(self, side: _Side) -> None:
        self.side = side
        side.descriptors += 1
        self._loop = side.wire.loop
        self._fd = self._loop.add_fake(side)

    def as_socket(self) -> socket.socket:
        """Return this end for code that is typed for sockets."""
        return cast("socket.socket", self)

    def dup(self) -> WireEnd:
        """Return another descriptor of the same end."""
        self._check_open()
        return WireEnd(self.side)

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._fd

    def setblocking(self, flag: bool) -> None:
        """Do nothing: no call ever waits."""
        assert not flag

    def send(self, data: Buffer) -> int:
        """Write as much of `data` as there is room for; raises what a socket raises."""
        self._check_open()
        return self.side.write(bytes(data))

    def sendmsg(self, buffers: Iterable[Buffer]) -> int:
        """Write `buffers`, one after the other, as `send` does."""
        return self.send(b"".join(buffers))

    def recv(self, count: int, _flags: int = 0) -> bytes:
        """Return at most `count` bytes, b"" at the end; raises what a socket raises.

        It never waits, whatever the flags say.
        """
        self._check_open()
        return self.side.read(count)

    def recv_into(self, buffer: memoryview, count: int = 0) -> int:
        """Read into `buffer`, as `recv` does; return how many bytes that was."""
        data = self.recv(min(count or len(buffer), len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def shutdown(self, how: int) -> None:
        """Say that nothing more is written, and with SHUT_RDWR that nothing more is read."""
        self._check_open()
        if self.side.other.is_closed:
            raise _error(errno.ENOTCONN)
        self.side.outgoing.is_shut = True
        if how == socket.SHUT_RDWR:
            self.side.incoming.is_shut = True

    def close(self) -> None:
        """Close this descriptor; closing it again does nothing."""
        if self._fd >= 0:
            self._loop.remove_fake(self._fd)
            self._fd = -1
            self.side.close()

    def _check_open(self) -> None:
        if self._fd < 0:
            raise _error(errno.EBADF)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
