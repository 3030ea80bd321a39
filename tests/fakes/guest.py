"""A virtual machine's end of QEMU's stream, as net/stream.c speaks it: it connects and frames."""

from __future__ import annotations

import socket
from struct import Struct

_LENGTH = Struct(">I")
WAIT_S = 5.0


class FakeGuest:
    """One guest; it connects when it is made."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(path)

    def send(self, *frames: bytes) -> None:
        """Send whole frames, in one go."""
        self.socket.sendall(b"".join(framed(frame) for frame in frames))

    def receive(self) -> bytes:
        """Return the next frame. Raises EOFError when it was sent away."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length)

    def leave(self) -> None:
        """Hang up."""
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            data = self.socket.recv(count - len(got))
            if not data:
                raise EOFError
            got += data
        return got


def framed(frame: bytes) -> bytes:
    """Return `frame` as it is on the stream."""
    return _LENGTH.pack(len(frame)) + frame
