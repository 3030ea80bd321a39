"""One non-blocking byte stream over TCP, with or without TLS: the same few calls for both."""

from __future__ import annotations

import contextlib
import select
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


class Stream:
    """Wraps a connected socket; TLS may want to write in order to read, and the reverse."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`, and make it non-blocking."""
        sock.setblocking(False)
        self._socket = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._read_wants_write = False
        self._write_wants_read = False
        self.fd = sock.fileno()

    def read_into(self, buffer: memoryview) -> int | None:
        """Return how many bytes came into `buffer`; None when there are none now, 0 at the end.

        Raises OSError (ssl.SSLError among them).
        """
        self._read_wants_write = False
        try:
            return self._socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._read_wants_write = True
            return None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Return how many bytes of `data` were taken; 0 when the stream is full.

        After 0 the next call must begin with the same bytes (OpenSSL's rule for a repeated
        SSL_write). Raises OSError (ssl.SSLError among them).
        """
        self._write_wants_read = False
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._write_wants_read = True
            return 0

    def has_pending(self) -> bool:
        """Tell whether TLS holds decrypted bytes, of which the descriptor does not know."""
        return self._tls is not None and self._tls.pending() > 0

    def events_to_read(self) -> int:
        """Return what to wait for before the next read."""
        return select.POLLOUT if self._read_wants_write else select.POLLIN

    def events_to_write(self) -> int:
        """Return what to wait for before the next write."""
        return select.POLLIN if self._write_wants_read else select.POLLOUT

    def close(self) -> None:
        """Close the stream; TLS says so to the other end, and does not wait for an answer."""
        if self._tls is not None:
            with contextlib.suppress(OSError, ValueError):
                self._tls.unwrap()
        self._socket.close()
