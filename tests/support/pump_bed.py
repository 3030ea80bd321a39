"""A pump of the client in a thread; the test has both of its ends.

The TAP is one in memory; a socket pair stands for the connection. Its far end is the server side of
the websockets library, without I/O.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from vpnws.client.carry.connection import Connection
from vpnws.client.carry.counters import Counters
from vpnws.client.carry.pump import Pump
from vpnws.client.carry.stream import Stream
from vpnws.client.carry.watch import DeviceWatch
from vpnws.client.waiting import Stopped, StopRequest, Waiter
from vpnws.errors import ConnectError, TapError
from vpnws.tap.memory import MemoryTap
from vpnws.wire.records import NOTHING_TO_DO

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.wire.offer import Offer

WAIT_S = 5.0
MTU = 1500


def frame(number: int, size: int = 60) -> bytes:
    """Return a different frame for each number."""
    return number.to_bytes(4, "big") * (size // 4)


class FarEnd:
    """The server's end of the connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.protocol = ServerProtocol(state=State.OPEN, max_size=None)
        self._frames: list[Frame] = []

    def frames(self, count: int) -> list[Frame]:
        """Return the next `count` frames of the client."""
        self.socket.settimeout(WAIT_S)
        while len(self._frames) < count:
            self.protocol.receive_data(self.socket.recv(65536))
            # Events are the client's frames only: no request is expected on an open connection.
            self._frames += [e for e in self.protocol.events_received() if isinstance(e, Frame)]
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    def flush(self) -> None:
        """Send what the protocol has to send."""
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def send(self, payload: bytes) -> None:
        """Send a binary message."""
        self.protocol.send_binary(payload)
        self.flush()


class Bed:
    """A pump in a thread, and its two ends."""

    def __init__(
        self, early: bytes = b"", *, has_offload: bool = False, has_vnet: bool = False
    ) -> None:
        near, far = socket.socketpair()
        self.far = FarEnd(far)
        self.tap = MemoryTap("tap9", has_vnet=has_offload or has_vnet)
        self.tap.up()
        self.tap.set_offload(has_offload)
        self.stop = StopRequest()
        self.counters = Counters()
        self.connection = Connection(Stream(near), early, has_offload=has_offload)
        self.skipped_s = 0.0
        self.waiter = Waiter(self.stop, lambda: time.monotonic() + self.skipped_s)
        self.watch = DeviceWatch(self.tap, self.tap.events)
        self.told: list[Offer] = []
        """What the server has said in texts."""
        parts = self.tap, self.connection, self.waiter, self.counters, self.watch
        self.pump = Pump(*parts, told=self._hear)
        self.on_told: Callable[[Offer], None] = lambda _: None
        """Called with each of them, in the pump's thread."""
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Start the pump."""
        self._thread.start()

    def fill(self, sent: bytes | None = None, vnet: bytes = NOTHING_TO_DO) -> list[bytes]:
        """Have the host send until the pump is paused and the TAP is full; return what it took.

        The host sends `sent` again and again, by default a new frame each time.
        """
        taken: list[bytes] = []
        while True:
            data = frame(len(taken), 1400) if sent is None else sent
            if self.tap.host_send(data, vnet):
                taken.append(data)
            elif self.pump.is_paused:
                return taken

    def received(self) -> bytes:
        """Return the next frame that the pump wrote to the TAP, with its header if it has one."""
        return self.tap.host_receive(WAIT_S)

    def ended(self) -> Exception | None:
        """Wait for the pump's end; return what it raised."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return self.error

    def close(self) -> None:
        """End the pump and close every end."""
        # A server that hangs up ends the pump at once; a stop would wait for the closing handshake.
        self.far.socket.close()
        if self._thread.is_alive():
            self.ended()
        for end in (self.connection, self.tap, self.waiter, self.stop):
            end.close()

    def _hear(self, offer: Offer) -> None:
        self.told.append(offer)
        self.on_told(offer)

    def _run(self) -> None:
        try:
            self.pump.run()
        except (ConnectError, TapError, Stopped) as error:
            self.error = error


def binary(frames: list[Frame]) -> list[bytes]:
    """Return the payloads of frames that are all binary messages."""
    assert {frame.opcode for frame in frames} <= {Opcode.BINARY}
    return [bytes(frame.data) for frame in frames]
