"""The bus: a socket pair between every two processes of the server, made before the fork."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from vpnws.sizes import MAX_WRITE_BUFFERS
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from vpnws.server.loop import Loop, Watcher
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.port import Trunk

MAX_SLOTS: Final = 64
"""Processes on one bus; a server with more does not start. The number of socket pairs grows with
the square of this."""
MAX_MESSAGE_BYTES: Final = 128 * 1024
"""Items that are ready together share a message of at most this length; the next message takes the
rest. A longer item goes alone."""
RECEIVE_BYTES: Final = MAX_MESSAGE_BYTES + 1024
"""The buffer for one message; no message is longer."""
_SOCKET_BUFFER_BYTES: Final = 1 << 20


class Bus:
    """All ends of all pairs. SEQPACKET keeps messages whole, and its queue is bounded in bytes."""

    def __init__(self, slots: int) -> None:
        """Make the pairs for processes at slots 0 to `slots` - 1."""
        self._ends: dict[tuple[int, int], socket.socket] = {}
        for low in range(slots):
            for high in range(low + 1, slots):
                near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                for end in (near, far):
                    end.setblocking(False)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
                self._ends[low, high], self._ends[high, low] = near, far

    def ends(self, slot: int) -> dict[int, socket.socket]:
        """Return the ends that the process at `slot` owns, by the slot that each leads to."""
        return {peer: end for (owner, peer), end in self._ends.items() if owner == slot}

    def keep_only(self, slot: int) -> None:
        """Close this process's copies of all ends that are not `slot`'s."""
        for pair in [pair for pair in self._ends if pair[0] != slot]:
            self._ends.pop(pair).close()


_buffer = bytearray(RECEIVE_BYTES)
_view = memoryview(_buffer)


class TrunkLink:
    """This process's side of one trunk: reads messages, writes what is queued."""

    def __init__(self, loop: Loop, port: Trunk, end: socket.socket, switch: Switch) -> None:
        """Messages that come in on `end` are forwarded by `switch`, from `port`."""
        self.port = port
        self._loop = loop
        self._end = end
        self._switch = switch
        self._reader = self._loop.on_readable(end.fileno(), self._readable)
        self._writer: Watcher | None = None

    def flush(self, now: float) -> None:
        """Write what is queued, as far as the other process takes it."""
        if self._writer is not None:
            return
        if not self._write_some(now):
            self._writer = self._loop.on_writable(self._end.fileno(), self._writable)

    def _readable(self) -> None:
        try:
            count = self._end.recv_into(_buffer)
        except BlockingIOError:
            return
        self._switch.receive(self.port, (bytes(_view[:count]),), self._loop.now())

    def _writable(self) -> None:
        if self._write_some(self._loop.now()) and self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write_some(self, now: float) -> bool:
        """Write batches until the queue is empty (True) or the socket is full (False)."""
        port = self.port
        queue = port.egress
        gather = port.format.gather
        while queue.size_bytes:
            batch = queue.rest or gather(queue, MAX_MESSAGE_BYTES, MAX_WRITE_BUFFERS, now)
            if not batch:
                break  # Every item had waited too long and was dropped.
            try:
                self._end.sendmsg(batch)
            except BlockingIOError:
                queue.keep(batch)
                queue.backed_up = True
                return False
            except OSError:
                # No memory for it, or more than the socket ever takes: these frames are lost.
                for item in batch:
                    queue.drop(bytes(item), Drop.DEVICE, now)
            if queue.rest:
                queue.keep([])
        return True
