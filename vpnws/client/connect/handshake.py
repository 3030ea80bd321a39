"""The client's side of the HTTP upgrade (RFC 6455 section 4): bytes in, bytes out, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from vpnws.client.connect.asked import NOT_WEBSOCKET, Asked
from vpnws.client.connect.heads import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    TLS_ALERT,
    may_begin_head,
    status_of,
)
from vpnws.client.connect.refusal import body_bytes, refusal
from vpnws.errors import NotSwitchError, RefusedError
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac
from vpnws.wire.records import SUBPROTOCOL
from vpnws.wire.websocket import PONG_HEADER

if TYPE_CHECKING:
    from vpnws.client.settings import ClientSettings

SWITCHING_PROTOCOLS: Final = 101


class Upgrade:
    """One attempt to turn an HTTP/1.1 connection into a WebSocket."""

    def __init__(self, settings: ClientSettings, mac: bytes) -> None:
        """`mac` is the station's, announced in X-vpn-ws-MAC."""
        self._asked = _asked(settings)
        offered = [Subprotocol(SUBPROTOCOL)] if settings.offload else None
        self._protocol = ClientProtocol(_library_url(settings), subprotocols=offered)
        self.request = self._build_request(settings, mac)
        """The bytes to send first."""
        self.early = b""
        """What came after the response's head, once `feed` returned True: the first messages."""
        self.refused_with = 0
        """The status of an answer that is not 101, once its head is here; 0 until then."""
        self.answers_pings = False
        """Whether the server says in its 101 that it answers pings, as ours does."""
        self._received = bytearray()

    @property
    def has_offload(self) -> bool:
        """Return whether the server has chosen vpnws.offload.1, which was offered."""
        return self._protocol.subprotocol == SUBPROTOCOL

    def feed(self, data: bytes | memoryview) -> bool:
        """Take received bytes; return whether the connection is a WebSocket now.

        Raises RefusedError once a refusal is complete, NotSwitchError if the answer is neither.
        """
        self._received += data
        head, end, rest = bytes(self._received).partition(END_OF_HEAD)
        if head.startswith(TLS_ALERT):
            raise NotSwitchError("that port speaks TLS: use wss:// instead of ws://")
        if not may_begin_head(head):
            raise NotSwitchError("what answers there is not a web server: check host and port")
        if len(head) > MAX_HEAD_BYTES:
            raise NotSwitchError(f"the answer's head is longer than {MAX_HEAD_BYTES} bytes")
        if not end:
            return False
        head += end
        status = status_of(head)
        if status is None:
            raise NotSwitchError("the answer has no proper HTTP status line: check host and port")
        if status != SWITCHING_PROTOCOLS:
            self.refused_with = status
            if len(rest) >= body_bytes(head):
                raise self.refusal()
            return False
        self.early = rest
        self._check_response(head)
        return True

    def refusal(self) -> RefusedError:
        """Return what to raise for a refusal, of which not all need have come."""
        head, end, body = bytes(self._received).partition(END_OF_HEAD)
        return refusal(self.refused_with, head + end, body, self._asked)

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
        self._protocol.receive_data(head)
        if self._protocol.handshake_exc is not None:
            raise NotSwitchError(
                "the answer does not complete a WebSocket handshake:"
                f" {one_line(str(self._protocol.handshake_exc))}; {NOT_WEBSOCKET}"
            )
        for response in self._protocol.events_received():
            if isinstance(response, Response):
                # A proxy on the way may have doubled the header, and `get` would raise then.
                self.answers_pings = "on" in response.headers.get_all(PONG_HEADER)


def _asked(settings: ClientSettings) -> Asked:
    has_outer_space = any(text != text.strip() for text in settings.login or ())
    has_login = settings.login is not None
    return Asked(
        settings.url.secure,
        has_login=has_login,
        has_token=settings.has_token,
        has_outer_space=has_outer_space,
        is_verified=settings.tls.verify,
        host=settings.url.host,
    )


def _library_url(settings: ClientSettings) -> WebSocketURI:
    url = settings.url
    user, password = settings.login or (None, None)
    return WebSocketURI(url.secure, url.server_name, url.port, url.path, url.query, user, password)
