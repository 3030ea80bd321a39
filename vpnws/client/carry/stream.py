"""One non-blocking byte stream over TCP, with or without TLS: the same few calls for both.

Theory of operation. TLS runs on two buffers in memory (ssl.MemoryBIO) beside the socket: one recv
brings in what many TLS records hold, one send takes them out. So TLS never waits for the socket:
the descriptor becomes readable, or it has room for what is unsent, and nothing else is of interest.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket

    from vpnws.wire.websocket import Buffer

RECEIVE_BYTES: Final = 131072
"""With TLS one read takes at most this much from the socket, then the TAP has its turn."""
_NOTHING: Final = memoryview(b"")


class Stream:
    """A connected TCP socket; what it does not take at once stays in `unsent_bytes`."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`, and make it non-blocking."""
        sock.setblocking(False)
        self._socket = sock
        self._rest = _NOTHING
        self._written: list[Buffer] = []
        self.fd = sock.fileno()
        self.has_unsent = False
        """Whether something was written and not yet sent."""

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
        """Have `data` sent by the next `flush`; it must not change until then.

        Nothing bounds what is unsent but the caller. Raises OSError.
        """
        self.has_unsent = True
        self._written.append(data)

    def flush(self) -> None:
        """Send what was written, as far as the socket takes it. Raises OSError."""
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
        """Tell whether there is something to read of which the descriptor does not know."""
        return False

    def close(self) -> None:
        """Close the stream; TLS says so to the other end, and does not wait for an answer."""
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

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        """Take over `sock`; `name` is what the server's certificate must be for."""
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._encrypted = memoryview(bytearray(RECEIVE_BYTES))
        self._has_ended = False

    @property
    def unsent_bytes(self) -> int:
        """How many bytes were written and not yet sent, in TLS's form where it has one."""
        return super().unsent_bytes + self._outgoing.pending

    def handshake(self) -> bool:
        """Go on with the handshake; return whether it is complete.

        If not, go on when the descriptor is readable, or has room while bytes are unsent. Raises
        OSError (ssl.SSLError among them).
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
        if not self.has_pending() and not self._fetch():
            return None
        count = self._decrypt(buffer)
        if self._written:
            self._encrypt()
        if self._outgoing.pending:
            # TLS itself has answered something: an update of keys, a renegotiation. If that cannot
            # be sent, what was received stays good, and the next call says why.
            with contextlib.suppress(OSError):
                self.flush()
        return count if count or self._has_ended else None

    def write(self, data: Buffer) -> None:
        """Have `data` sent by the next `flush`; it must not change until then.

        Nothing bounds what is unsent but the caller. Raises OSError.
        """
        self.has_unsent = True
        self._written.append(data)
        if len(self._written) == 1:
            self._encrypt()

    def has_pending(self) -> bool:
        """Tell whether there is something to read of which the descriptor does not know."""
        return self._has_ended or self._incoming.pending > 0 or self._tls.pending() > 0

    def close(self) -> None:
        """Close the stream; TLS says so to the other end, and does not wait for an answer."""
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
        """Take what the socket has; return whether there was anything, its end included."""
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
        """Fill `buffer` with what the incoming TLS records hold; return its length."""
        tls, incoming = self._tls, self._incoming
        # With a buffer it returns a length, of which its stub does not know.
        read: Any = tls.read
        at, room = 0, len(buffer)
        try:
            while at < room:
                count = read(room - at, buffer[at:])
                if not count:
                    self._has_ended = True
                    break
                at += count
                # Another read would only raise, which takes longer than to ask.
                if not incoming.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._has_ended = True
        return at

    def _encrypt(self) -> None:
        """Encrypt what was written; in a renegotiation (TLS 1.2) some of it after the next read."""
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
