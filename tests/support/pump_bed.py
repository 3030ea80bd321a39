"""A pump of the client in a thread, with both its ends in a test's hands.

A socket pair stands for the TAP (one datagram is one frame, as one read of a TAP is), another for
the connection; the far end of that is the websockets library's own server side, without I/O.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from vpnws.client.carry.connection import Connection
from vpnws.client.carry.counters import Counters
from vpnws.client.carry.pump import Pump
from vpnws.client.carry.stream import Stream
from vpnws.client.waiting import Stopped, StopRequest, Waiter
from vpnws.errors import ConnectError, TapError
from vpnws.tap.linux import Tap

WAIT_S = 5.0
MTU = 1500


def frame(number: int, size: int = 60) -> bytes:
    """Return an own frame for each number."""
    return number.to_bytes(4, "big") * (size // 4)


class Device:
    """What a Tap wraps, made of one end of a socket pair."""

    name = "tap9"
    hwaddr = b"\x02\0\0\0\0\x09"

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


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
    """A pump in a thread, with its ends in the test's hands."""

    def __init__(
        self, early: bytes = b"", tap_type: type[Tap] = Tap, *, has_offload: bool = False
    ) -> None:
        near, far = socket.socketpair()
        inner, self.wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.settimeout(WAIT_S)
        self.far = FarEnd(far)
        self.tap = tap_type(Device(inner), has_vnet=has_offload)  # type: ignore[arg-type]
        self.stop = StopRequest()
        self.counters = Counters()
        self.connection = Connection(Stream(near), early, has_offload=has_offload)
        self.skipped_s = 0.0
        waiter = Waiter(self.stop, lambda: time.monotonic() + self.skipped_s)
        self.pump = Pump(self.tap, self.connection, waiter, self.counters, MTU)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Start the pump."""
        self._thread.start()

    def fill(self) -> list[bytes]:
        """Give the TAP frames until it takes no more; return those that it took."""
        self.wire.settimeout(0.3)
        sent: list[bytes] = []
        with suppress(TimeoutError):
            while True:
                self.wire.send(frame(len(sent), 1400))
                sent.append(frame(len(sent), 1400))
        self.wire.settimeout(WAIT_S)
        return sent

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
        for end in (self.connection, self.tap, self.wire, self.stop):
            end.close()

    def _run(self) -> None:
        try:
            self.pump.run()
        except (ConnectError, TapError, Stopped) as error:
            self.error = error


def binary(frames: list[Frame]) -> list[bytes]:
    """Return the payloads of frames that are all binary messages."""
    assert {frame.opcode for frame in frames} <= {Opcode.BINARY}
    return [bytes(frame.data) for frame in frames]
