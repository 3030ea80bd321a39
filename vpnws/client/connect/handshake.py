"""The client's side of the HTTP upgrade (RFC 6455 section 4): bytes in, bytes out, no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from vpnws.client.connect.url import hide_userinfo
from vpnws.errors import ConnectError, RefusedError
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from vpnws.client.settings import ClientSettings

MAX_HEAD_BYTES: Final = 16384
"""A web server's answer with a longer head is refused; most have a few hundred bytes."""
SWITCHING_PROTOCOLS: Final = 101
_END_OF_HEAD: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r)")
_LOCATION: Final = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]*)", re.IGNORECASE)
NOT_WEBSOCKET: Final = "check the URL's path, and that the web server in front passes upgrades on"
_HINTS: Final = {
    400: "the web server rejects the request: it may want a certificate (--crt, --key), or TLS",
    403: "this station may not join: ask whoever runs the server",
    404: "nothing is there: check the URL's path",
    502: "the web server cannot reach the switch behind it: is uWSGI running?",
    503: "the switch accepts no station now: it may be full or restarting",
    504: "the switch behind the web server does not answer",
}


class Upgrade:
    """One attempt to turn an HTTP/1.1 connection into a WebSocket."""

    def __init__(self, settings: ClientSettings, mac: bytes) -> None:
        """`mac` is the station's, announced in X-vpn-ws-MAC."""
        self._login = settings.login
        offered = [Subprotocol(SUBPROTOCOL)] if settings.offload else None
        self._protocol = ClientProtocol(_library_url(settings), subprotocols=offered)
        self.request = self._build_request(settings, mac)
        """The bytes to send first."""
        self.early = b""
        """What came after the response's head, once `feed` returned True: the first messages."""
        self._received = bytearray()

    @property
    def has_offload(self) -> bool:
        """Return whether the server has chosen vpnws.offload.1, which was offered."""
        return self._protocol.subprotocol == SUBPROTOCOL

    def feed(self, data: bytes | memoryview) -> bool:
        """Take received bytes; return whether the connection is a WebSocket now.

        Raises RefusedError for any status but 101, ConnectError if the answer is not an upgrade.
        """
        self._received += data
        head, end, rest = self._received.partition(_END_OF_HEAD)
        if not b"HTTP/1.".startswith(bytes(head[:7])):
            raise ConnectError("what answers there is not a web server: check host and port")
        if len(head) > MAX_HEAD_BYTES:
            raise ConnectError(f"the answer's head is longer than {MAX_HEAD_BYTES} bytes")
        if not end:
            return False
        self.early = bytes(rest)
        self._check_response(bytes(head + end))
        return True

    def _build_request(self, settings: ClientSettings, mac: bytes) -> bytes:
        request = self._protocol.connect()
        request.headers["X-vpn-ws-MAC"] = format_mac(mac)
        if settings.bridge:
            request.headers["X-vpn-ws-bridge"] = "on"
        # A header of the settings replaces the default one. The settings may name one twice.
        for name in {name.lower() for name, _ in settings.headers} & set(request.headers):
            del request.headers[name]
        for name, value in settings.headers:
            request.headers[name] = value
        return request.serialize()

    def _check_response(self, head: bytes) -> None:
        line = _STATUS_LINE.match(head)
        if line is None:
            raise ConnectError("the answer has no proper HTTP status line: check host and port")
        status = int(line[1])
        if status != SWITCHING_PROTOCOLS:
            raise RefusedError(status, f"{self._reason(status, head)} (HTTP {status})")
        self._protocol.receive_data(head)
        if self._protocol.handshake_exc is not None:
            raise ConnectError(
                "the answer does not complete a WebSocket handshake:"
                f" {one_line(str(self._protocol.handshake_exc))}; {NOT_WEBSOCKET}"
            )

    def _reason(self, status: int, head: bytes) -> str:
        if status == 401:
            if self._login is None:
                return "the server wants a user and a password: see --user and --password-file"
            return "the server does not accept this user and password"
        if 300 <= status < 400:
            return f"the server points elsewhere{_location(head)}: give the final URL"
        return _HINTS.get(status, f"the server did not upgrade to WebSocket: {NOT_WEBSOCKET}")


def _library_url(settings: ClientSettings) -> WebSocketURI:
    url = settings.url
    user, password = settings.login or (None, None)
    return WebSocketURI(url.secure, url.server_name, url.port, url.path, url.query, user, password)


def _location(head: bytes) -> str:
    found = _LOCATION.search(head)
    if found is None:
        return ""
    place = hide_userinfo(found[1].decode("latin-1")).partition("?")[0]
    return f", to {one_line(place)}"
