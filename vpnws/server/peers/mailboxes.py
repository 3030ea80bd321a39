"""Mailboxes: each process of the server has one, and every other process can put messages in.

Control has its own sockets, apart from the bus: what an operator asks never waits behind frames,
and never makes a frame wait. The master makes them before it forks. So the mailbox of a process
that dies is there for the next one at its slot.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.server.loop import Loop, Watcher

MAX_PART_BYTES: Final = 60_000
"""A message is sent in parts of at most this length."""
MAX_TURN_PARTS: Final = 16
"""Parts that are read in one turn; then others have their turn."""
MAX_OUT_BYTES: Final = 16 * 1024 * 1024
"""What may wait for one mailbox to have room; a message that does not fit is not sent."""
_SOCKET_BUFFER_BYTES: Final = 1 << 20


class Mailboxes:
    """All mailboxes: of each, the end to read and the end to write, which all writers share."""

    def __init__(self, slots: int) -> None:
        """Make the mailboxes of the processes at slots 0 to `slots` - 1."""
        self._ends = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(slots)
        ]
        for inside, outside in self._ends:
            inside.setblocking(False)
            outside.setblocking(False)
            outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)

    def open(self, slot: int) -> tuple[socket.socket, list[socket.socket]]:
        """Return the end to read of `slot`, the caller's own, and the ends to write of all.

        The caller owns them. What waits in the mailbox was meant for the process before, and is
        thrown away.
        """
        mine, outside = self._ends[slot][0], [pair[1] for pair in self._ends]
        for other, _ in self._ends:
            if other is not mine:
                other.close()
        self._ends = []
        with suppress(BlockingIOError):
            while mine.recv(MAX_PART_BYTES):
                pass
        return mine, outside

    def close(self) -> None:
        """Close this process's copies of all ends."""
        for end in chain.from_iterable(self._ends):
            end.close()


class Outbox:
    """What this process sends to one mailbox."""

    def __init__(self, loop: Loop, end: socket.socket) -> None:
        """Own `end`, the end to write."""
        self._loop = loop
        self._end = end
        self._parts: deque[bytes] = deque()
        self._size_bytes = 0
        self._writer: Watcher | None = None

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits for the mailbox to have room."""
        return not self._parts

    def send(self, parts: Sequence[bytes]) -> bool:
        """Send the parts of one message, now or when there is room; False if too much waits."""
        size_bytes = sum(map(len, parts))
        if self._size_bytes + size_bytes > MAX_OUT_BYTES:
            return False
        self._parts.extend(parts)
        self._size_bytes += size_bytes
        if self._writer is None:
            self._write()
        return True

    def close(self) -> None:
        """Send nothing more."""
        if self._writer is not None:
            self._writer.close()
        self._end.close()

    def _write(self) -> None:
        try:
            while self._parts:
                self._end.send(self._parts[0])
                self._size_bytes -= len(self._parts.popleft())
        except BlockingIOError:
            if self._writer is None:
                self._writer = self._loop.on_writable(self._end.fileno(), self._write)
            return
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Inbox:
    """The mailbox of this process."""

    def __init__(self, loop: Loop, end: socket.socket, on_part: Callable[[bytes], None]) -> None:
        """Own `end`, the end to read; `on_part` gets each part of a message as it comes."""
        self._end = end
        self._on_part = on_part
        self._reader = loop.on_readable(end.fileno(), self._read)

    def close(self) -> None:
        """Read nothing more."""
        self._reader.close()
        self._end.close()

    def _read(self) -> None:
        try:
            for _ in range(MAX_TURN_PARTS):
                self._on_part(self._end.recv(MAX_PART_BYTES))
        except BlockingIOError:
            pass
