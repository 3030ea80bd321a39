"""One request to a control interface, and the answer as it comes in: whatever carries them."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlencode

from vpnws.control.crosssite import TOKEN_HEADER
from vpnws.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_S: Final = 5.0
"""A server that does not take the connection within this time is given up."""
ANSWER_S: Final = 15.0
"""A server that says nothing for this long is given up. Its processes answer within a second."""
READ_BYTES: Final = 65536
"""One read of a stream takes at most this much."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `path` is below the control location, as in api/v1/ports."""

    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    token: str = field(default="", repr=False)

    @property
    def query_string(self) -> str:
        """The query as a URL has it."""
        return urlencode(self.query)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every way sends."""
        headers = {"Accept": "application/json"}
        if self.body:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers[TOKEN_HEADER] = self.token
        return headers


class Answer:
    """The head of an answer, and its body as it comes."""

    def __init__(self, response: HTTPResponse, sock: socket.socket, shown: str) -> None:
        """`sock` carries `response`; `shown` names the server in sentences."""
        self._response = response
        self._socket = sock
        self.shown = shown
        self.status = response.status
        self._has_ended = False

    def header(self, name: str) -> str:
        """Return a header's value, empty if it is not there."""
        return self._response.headers.get(name, "")

    def read(self, max_bytes: int) -> bytes:
        """Return the whole body, at most `max_bytes` and one more. Raises ConnectError."""
        parts = []
        left = max_bytes + 1
        while left > 0 and (part := self.read_some(min(left, READ_BYTES))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def read_some(self, max_bytes: int = READ_BYTES) -> bytes:
        """Return what comes next, empty at the end. Raises ConnectError."""
        try:
            return self._response.read1(max_bytes)
        except TimeoutError as error:
            timeout_s = self._socket.gettimeout() or 0
            raise ConnectError(
                f"{self.shown} stopped in the middle of its answer and said nothing for"
                f" {timeout_s:.0f} s: is it overloaded? Its log may say more"
            ) from error
        except (OSError, HTTPException) as error:
            if self._has_ended:
                return b""
            raise ConnectError(
                f"{self.shown} hung up in the middle of its answer: was it restarted?"
            ) from error

    def wait_at_most(self, silence_s: float) -> None:
        """Let each further read wait for `silence_s` seconds."""
        self._socket.settimeout(silence_s)

    def finish(self) -> None:
        """Tell the server that nobody waits for more: what it still sends can be read."""
        self._has_ended = True
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def end(self) -> None:
        """Have a read that waits come to its end; a signal handler may call this."""
        self._has_ended = True
        # What has come already can still be read: the end comes after it.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._socket.close()


class Way(Protocol):
    """A way to a control interface."""

    @property
    def shown(self) -> str:
        """The server, as sentences name it."""
        ...

    def ask(self, request: Request) -> Answer:
        """Send `request` and return the answer. Raises ConnectError with the remedy."""
        ...
