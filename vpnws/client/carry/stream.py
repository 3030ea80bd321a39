"""One non-blocking byte stream over TCP, with or without TLS: the same few calls for both.

Theory of operation. TLS works on two buffers in memory (ssl.MemoryBIO), not on the socket. One recv
brings in many TLS records, and one send takes many out. TLS itself never waits for the socket, so
the caller waits for only two events: the descriptor is readable, or it has room for unsent bytes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

RECEIVE_BYTES: Final = 131072
"""With TLS, one read takes at most this much from the socket; then the TAP has its turn."""
_NOTHING: Final = memoryview(b"")
_LAST_ACK_RECV: Final = struct.Struct("@56xI")
"""tcpi_last_ack_recv in Linux's struct tcp_info: milliseconds since the peer's last ACK."""


class StreamSocket(Protocol):
    """What a stream needs of a connected socket, with the meaning that socket.socket gives it."""

    def setblocking(self, flag: bool, /) -> None:
        """Have no call wait from now on."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def getpeername(self) -> Any:
        """Return the address of the other end."""

    def getsockopt(self, level: int, option: int, size_bytes: int, /) -> bytes:
        """Return an option of the socket, or what the kernel tells of its connection."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Return how many bytes came into `buffer`, 0 at the end."""

    def send(self, data: memoryview, /) -> int:
        """Return how many bytes of `data` were taken."""

    def close(self) -> None:
        """Close the connection."""


def peer_address(sock: StreamSocket) -> str:
    """Return the IP address of the other end of `sock`, empty if it has none or is gone."""
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""


class Stream:
    """A connected TCP socket, and the bytes that it has not taken yet."""

    def __init__(self, sock: StreamSocket) -> None:
        """Take over `sock`, and make it non-blocking."""
        sock.setblocking(False)
        self._socket = sock
        self._rest = _NOTHING
        self._written: list[Buffer] = []
        self.fd = sock.fileno()
        self.has_unsent = False
        """Whether something was written and not yet sent."""

    @property
    def peer_address(self) -> str:
        """The IP address of the other end, empty if it has none or is gone."""
        return peer_address(self._socket)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes were written and not yet sent."""
        return len(self._rest) + sum(map(len, self._written))

    def read_into(self, buffer: memoryview) -> int | None:
        """Return how many bytes came into `buffer`; None when there are none now, 0 at the end.

        Raises OSError (ssl.SSLError among them).
        """
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            return None

    def write(self, data: Buffer) -> None:
        """Keep `data` for the next `flush`; it must not change until then.

        The caller bounds how much is unsent. Raises OSError.
        """
        self.has_unsent = True
        self._written.append(data)

    def flush(self) -> None:
        """Send what was written, as much as the socket takes. Raises OSError."""
        while rest := self._rest or self._next():
            try:
                sent = self._socket.send(rest)
            except BlockingIOError:
                sent = 0
            self._rest = rest[sent:]
            if self._rest:
                return
        self.has_unsent = bool(self._written)

    def has_pending(self) -> bool:
        """Return whether there is something to read that the descriptor does not show."""
        return False

    def unacknowledged_s(self) -> float | None:
        """Return for how long the peer's TCP has acknowledged nothing; None if nobody knows."""
        if sys.platform != "linux":
            return None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_RECV.size)
            return float(_LAST_ACK_RECV.unpack(info)[0]) / 1000
        except (OSError, struct.error):
            return None

    def close(self) -> None:
        """Close the stream. TLS tells the other end, and does not wait for its answer."""
        self._socket.close()

    def _next(self) -> memoryview:
        """Return what was written since the last call, to be sent next."""
        written = self._written
        if not written:
            return _NOTHING
        data = written[0] if len(written) == 1 else b"".join(written)
        written.clear()
        return memoryview(data)


class TlsStream(Stream):
    """TLS over a connected TCP socket; `handshake` comes first."""

    def __init__(self, sock: StreamSocket, context: ssl.SSLContext, name: str) -> None:
        """Take over `sock`; the server's certificate must be valid for `name`."""
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._encrypted = memoryview(bytearray(RECEIVE_BYTES))
        self._has_ended = False

    @property
    def unsent_bytes(self) -> int:
        """How many bytes were written and not yet sent; encrypted bytes count as encrypted."""
        return super().unsent_bytes + self._outgoing.pending

    @property
    def certificate(self) -> dict[str, Any]:
        """The server's verified certificate, as ssl.SSLSocket.getpeercert returns it."""
        return dict(self._tls.getpeercert() or {})

    @property
    def certificate_bytes(self) -> bytes:
        """The server's certificate in DER form, verified or not; empty if it showed none."""
        return self._tls.getpeercert(binary_form=True) or b""

    @property
    def version(self) -> str:
        """The version of TLS, such as TLSv1.3, once the handshake is complete."""
        return self._tls.version() or ""

    def handshake(self) -> bool:
        """Continue the handshake; return whether it is complete.

        If it is not, call again when the descriptor is readable or, while bytes are unsent, has
        room. Raises OSError (ssl.SSLError among them).
        """
        self._fetch()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush_all()
            return False
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self.flush()
            raise
        self._flush_all()
        return True

    def read_into(self, buffer: memoryview) -> int | None:
        """Return how many bytes came into `buffer`; None when there are none now, 0 at the end.

        Raises OSError (ssl.SSLError among them).
        """
        if self._has_ended:
            return 0
        if not self._can_decrypt() and not self._fetch():
            return None
        count = self._decrypt(buffer)
        if self._written:
            self._encrypt()
        if self._outgoing.pending:
            # TLS answered by itself: a key update or a renegotiation. If the answer cannot be sent,
            # the received bytes are still valid, and the next call reports the error.
            with contextlib.suppress(OSError):
                self.flush()
        return count if count or self._has_ended else None

    def write(self, data: Buffer) -> None:
        """Keep `data` for the next `flush`; it must not change until then.

        The caller bounds how much is unsent. Raises OSError.
        """
        self.has_unsent = True
        self._written.append(data)
        if len(self._written) == 1:
            self._encrypt()

    def has_pending(self) -> bool:
        """Return whether there is something to read that the descriptor does not show."""
        return self._has_ended or self._incoming.pending > 0 or self._tls.pending() > 0

    _can_decrypt = has_pending
    """Whether a read needs nothing from the socket, also where more is pending elsewhere."""

    def close(self) -> None:
        """Close the stream. TLS tells the other end, and does not wait for its answer."""
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self.flush()
        super().close()

    def _flush_all(self) -> None:
        """Send what TLS itself has written."""
        self.has_unsent = True
        self.flush()

    def _fetch(self) -> bool:
        """Read from the socket; return whether bytes came, or its end."""
        try:
            count = self._socket.recv_into(self._encrypted)
        except BlockingIOError:
            return False
        if count:
            self._incoming.write(self._encrypted[:count])
        else:
            self._incoming.write_eof()
        return True

    def _decrypt(self, buffer: memoryview) -> int:
        """Decrypt received TLS records into `buffer`; return how many bytes it got."""
        tls, incoming = self._tls, self._incoming
        # With a buffer it returns a length, which its stub does not say.
        read: Any = tls.read
        at, room = 0, len(buffer)
        try:
            while at < room:
                count = read(room - at, buffer[at:])
                if not count:
                    self._has_ended = True
                    break
                at += count
                # Another read would only raise, which costs more than this check.
                if not incoming.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._has_ended = True
        return at

    def _encrypt(self) -> None:
        """Encrypt what was written. In a renegotiation (TLS 1.2), some of it waits for a read."""
        written = self._written
        while written:
            rest = memoryview(written[0])
            try:
                while rest:
                    rest = rest[self._tls.write(rest) :]
            except ssl.SSLWantReadError:
                written[0] = rest
                return
            written.pop(0)

    def _next(self) -> memoryview:
        return memoryview(self._outgoing.read()) if self._outgoing.pending else _NOTHING
