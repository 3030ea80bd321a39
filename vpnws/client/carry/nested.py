"""A stream inside another one, as a socket: TLS to a server goes through TLS to a proxy."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from vpnws.client.carry.stream import Stream, TlsStream

if TYPE_CHECKING:
    import ssl

    from vpnws.client.carry.stream import StreamSocket
    from vpnws.wire.buffer import Buffer


class NestedSocket:
    """What a stream needs of its socket, on another stream."""

    def __init__(self, outer: Stream) -> None:
        """Take over `outer`, which is connected."""
        self.outer = outer

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing: a stream never blocks."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.outer.fd

    def getpeername(self) -> tuple[str, int]:
        """Return the IP address of the other end, and no port."""
        return self.outer.peer_address, 0

    def getsockopt(self, *_: int) -> bytes:
        """Raise OSError: ask the outer stream."""
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def recv_into(self, buffer: memoryview, /) -> int:
        """Return how many bytes came into `buffer`. Raises BlockingIOError, OSError."""
        count = self.outer.read_into(buffer)
        if count is None:
            raise BlockingIOError
        return count

    def send(self, data: Buffer, /) -> int:
        """Take all of `data`. Raises BlockingIOError while bytes are unsent, OSError."""
        if self.outer.has_unsent:
            self.outer.flush()
        if self.outer.has_unsent:
            raise BlockingIOError
        # The caller may use its buffer again at once.
        self.outer.write(bytes(data))
        self.outer.flush()
        return len(data)

    def close(self) -> None:
        """Close the outer stream."""
        self.outer.close()


class _Nested(Stream):
    """What a stream does besides when another one carries it."""

    _outer: Stream

    @property
    def unsent_bytes(self) -> int:
        """How many bytes were written and not yet sent, of both streams."""
        return super().unsent_bytes + self._outer.unsent_bytes

    def flush(self) -> None:
        """Send what was written, as much as the socket takes. Raises OSError."""
        super().flush()
        if self._outer.has_unsent:
            self._outer.flush()
        self.has_unsent = self.has_unsent or self._outer.has_unsent

    def unacknowledged_s(self) -> float | None:
        """Return for how long the peer's TCP has acknowledged nothing; None if nobody knows."""
        return self._outer.unacknowledged_s()

    def has_pending(self) -> bool:
        """Return whether there is something to read that the descriptor does not show."""
        return super().has_pending() or self._outer.has_pending()


class NestedStream(_Nested):
    """A stream in the clear inside another one."""

    def __init__(self, sock: NestedSocket) -> None:
        super().__init__(sock)
        self._outer = sock.outer


class NestedTlsStream(_Nested, TlsStream):
    """TLS inside another stream; `handshake` comes first."""

    def __init__(self, sock: NestedSocket, context: ssl.SSLContext, name: str) -> None:
        super().__init__(sock, context, name)
        self._outer = sock.outer


def make_stream(sock: StreamSocket) -> Stream:
    """Return a stream in the clear over `sock`."""
    return NestedStream(sock) if isinstance(sock, NestedSocket) else Stream(sock)


def make_tls_stream(sock: StreamSocket, context: ssl.SSLContext, name: str) -> TlsStream:
    """Return TLS over `sock`; the server's certificate must be valid for `name`."""
    if isinstance(sock, NestedSocket):
        return NestedTlsStream(sock, context, name)
    return TlsStream(sock, context, name)
