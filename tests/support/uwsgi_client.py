"""A client that speaks the uwsgi protocol, as nginx's uwsgi_pass does: for tests of the vars."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from .raw_client import KEY, RawClient, Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class UwsgiClient(RawClient):
    """A RawClient over uWSGI's unix socket, with the vars that a web server would send."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        """Connect to the unix socket at `path`."""
        self.timeout_s = timeout_s
        self._host = "localhost"
        self._buffer = bytearray()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(path))

    def ask(self, variables: Mapping[str, str], *, key: str | None = KEY) -> Response:
        """Ask for a WebSocket with `variables` besides the ones every request has."""
        self.send_request(variables, key=key)
        return self.read_response()

    def send_request(self, variables: Mapping[str, str], *, key: str | None = None) -> None:
        """Send what `ask` does, and read no answer."""
        sent = {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "443",
            "HTTP_HOST": "localhost",
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "Upgrade",
            **({"HTTP_SEC_WEBSOCKET_KEY": key} if key else {}),
            **variables,
        }
        body = b"".join(_counted(name) + _counted(value) for name, value in sent.items())
        self.send_bytes(struct.pack("<BHB", 0, len(body), 0) + body)


def _counted(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<H", len(data)) + data
