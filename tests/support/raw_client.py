"""A WebSocket client (RFC 6455) that does what it is told, right or wrong: for protocol tests."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .raw_frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, apply_key, encode_frame

if TYPE_CHECKING:
    import email.message
    import ssl
    from collections.abc import Iterable

    from .netns import Namespace

KEY = base64.b64encode(bytes(range(16))).decode()
MAX_HEAD_BYTES = 65536
RECEIVE_BYTES = 65536

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request; `headers` looks names up in any case, `get_all` gives each."""

    status: int
    reason: str
    headers: email.message.Message
    body: bytes = b""


def accept_value(key: str) -> str:
    """Return the Sec-WebSocket-Accept that a server must answer a key with (RFC 6455 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def basic(user: str, password: str) -> tuple[str, str]:
    """Return the Authorization header for a user and password (RFC 7617)."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class RawClient:
    """One connection, plain or TLS, from this process or from inside a namespace.

    Its socket closes with the `with` block. Reads raise `TimeoutError` when nothing comes in
    time, and `EOFError` when the server has closed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        namespace: Namespace | None = None,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Connect. With `tls` the certificate is checked for `server_hostname`, or `host`.

        `timeout_s` bounds the connecting, and every read and write without a timeout of its own.
        """
        self.timeout_s = timeout_s
        self._host = host
        self._buffer = bytearray()

        def connect() -> socket.socket:
            return socket.create_connection((host, port), timeout_s)

        plain = namespace.call(connect) if namespace else connect()
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket: socket.socket = (
                tls.wrap_socket(plain, server_hostname=server_hostname or host) if tls else plain
            )
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket without a closing handshake."""
        self.socket.close()

    def reset(self) -> None:
        """Close the socket so that the server sees a connection reset, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def request(
        self,
        path: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        host: str | None = None,
    ) -> Response:
        """Send a request with Host and these headers alone, and read the answer with its body."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or self._host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send_bytes("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self.read_response()

    def upgrade(
        self,
        path: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        *,
        key: str | None = KEY,
        version: str | None = "13",
        subprotocols: str | None = None,
        method: str = "GET",
    ) -> Response:
        """Ask for a WebSocket and return the answer, whatever it is.

        A `key`, `version` or `subprotocols` of None leaves that header out; `headers` come last.
        """
        asked = {
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": version,
            "Sec-WebSocket-Protocol": subprotocols,
        }
        given = [(name, value) for name, value in asked.items() if value is not None]
        start = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        return self.request(path, [*start, *given, *headers], method=method)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.settimeout(self.timeout_s)
        self.socket.sendall(data)

    def send_frame(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send one correct, masked frame; for others send what `encode_frame` makes."""
        self.send_bytes(encode_frame(opcode, payload))

    def read_response(self) -> Response:
        """Read the head of an answer and, unless its status is 101, the body."""
        deadline = time.monotonic() + self.timeout_s
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ValueError("the head of the answer does not end")
            self._fill(deadline)
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        first, _, fields = head.partition(b"\r\n")
        _version, status, *reason = first.decode("latin-1").split(" ", 2)
        headers = http.client.parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
        body = b"" if status == "101" else self._read_body(headers, deadline)
        return Response(int(status), "".join(reason), headers, body)

    def read_frame(self, timeout_s: float | None = None) -> Frame:
        """Read one frame, of any kind."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        first, second = self._peek(2, deadline)
        extra = {126: 2, 127: 8}.get(second & 0x7F, 0)
        key_bytes = 4 if second & 0x80 else 0
        head = self._peek(2 + extra + key_bytes, deadline)
        length = int.from_bytes(head[2 : 2 + extra]) if extra else second & 0x7F
        frame = self._peek(len(head) + length, deadline)
        del self._buffer[: len(frame)]
        payload = apply_key(head[2 + extra :], frame[len(head) :])
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 0xF, payload, bool(key_bytes))

    def read_message(self, timeout_s: float | None = None) -> bytes:
        """Read frames up to a binary or text one, answer pings on the way, return its payload.

        Raises `EOFError` when a close frame comes instead.
        """
        while (frame := self.read_frame(timeout_s)).opcode not in (TEXT, BINARY):
            if frame.opcode == CLOSE:
                raise EOFError(f"closed by the server: {frame.close_code} {frame.close_reason}")
            if frame.opcode == PING:
                self.send_frame(frame.payload, PONG)
        return frame.payload

    def read_close(self, timeout_s: float | None = None) -> Frame:
        """Read frames up to a close frame and return that one."""
        while (frame := self.read_frame(timeout_s)).opcode != CLOSE:
            pass
        return frame

    def reads_nothing(self, timeout_s: float) -> bool:
        """Return whether the server sends nothing, not even an end, for this long."""
        try:
            self._peek(1, time.monotonic() + timeout_s)
        except TimeoutError:
            return True
        except EOFError:
            pass
        return False

    def is_closed(self, timeout_s: float) -> bool:
        """Return whether the server closes the connection within this time; drops what it sends."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self._buffer.clear()
                self._fill(deadline)
        except TimeoutError:
            return False
        except (EOFError, ConnectionError):
            return True

    def _read_body(self, headers: email.message.Message, deadline: float) -> bytes:
        length = headers.get("Content-Length")
        if length is not None:
            body = self._peek(int(length), deadline)
        else:
            try:
                while True:
                    self._fill(deadline)
            except EOFError:
                body = bytes(self._buffer)
        del self._buffer[: len(body)]
        return body

    def _peek(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            self._fill(deadline)
        return bytes(self._buffer[:count])

    def _fill(self, deadline: float) -> None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the server sent nothing (more) in time")
        self.socket.settimeout(left_s)
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise EOFError("the server closed the connection")
        self._buffer += data
