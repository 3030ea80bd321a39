"""Connects to the server: a way there, TLS, upgrade; each step has a time limit."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Final, NoReturn

from vpnws.client.carry.connection import Connection
from vpnws.client.carry.nested import make_stream
from vpnws.client.carry.stream import peer_address
from vpnws.client.connect.exchange import read, write
from vpnws.client.connect.handshake import Upgrade
from vpnws.client.connect.reasons import TLS_ENDED, reason_of
from vpnws.client.connect.secure import explain, secure
from vpnws.client.connect.way import Ways
from vpnws.errors import ConnectError, NetworkChangedError, RefusedError

if TYPE_CHECKING:
    from vpnws.client.carry.stream import Stream, StreamSocket, TlsStream
    from vpnws.client.settings import ClientSettings, ServerUrl
    from vpnws.client.waiting import Waiter

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""If TLS and the upgrade together take longer, the attempt has failed."""
READ_BYTES: Final = 4096
"""One read of the answer takes at most this much."""
BODY_TIMEOUT_S: Final = 1.0
"""When a server has refused, the rest of its reason is waited for this long."""


class Dialer:
    """Makes a station's connections to one server."""

    def __init__(
        self,
        settings: ClientSettings,
        context: ssl.SSLContext | None,
        waiter: Waiter,
        ways: Ways | None = None,
    ) -> None:
        """`context` is for wss; `ways` are shared with the dialers of other servers."""
        self._settings = settings
        self._context = context if settings.url.secure else None
        self._waiter = waiter
        self._ways = ways or Ways(settings.addresses, [settings.url], waiter)

    def connect(self, mac: bytes) -> Connection:
        """Return a WebSocket, which may already have received messages.

        `mac` is what the station announces. Raises ConnectError, RefusedError, TlsError, and
        Stopped when told to stop.
        """
        url = self._settings.url
        sock = self._ways.open(url)
        until_s = self._waiter.now() + HANDSHAKE_TIMEOUT_S
        address = peer_address(sock)
        try:
            connection = self._upgrade(self._stream(sock, until_s), mac, until_s)
        except BaseException as error:
            sock.close()
            if _casts_doubt(error):
                self._ways.doubt(address)
            if isinstance(error, ssl.SSLError) and not isinstance(error, TLS_ENDED):
                raise self._explain(error) from error
            if isinstance(error, OSError):
                raise _failure(error, url) from error
            raise
        self._ways.trust(address)
        return connection

    def _stream(self, sock: StreamSocket, until_s: float) -> Stream:
        """Return a stream over `sock`; for wss do the TLS handshake first."""
        if self._context is None:
            return make_stream(sock)
        return secure(sock, self._settings, self._context, self._waiter, until_s)

    def _explain(self, error: ssl.SSLError) -> ConnectError:
        """Return what to raise when TLS failed with `error`."""

        def look(context: ssl.SSLContext) -> TlsStream:
            return open_tls(self._ways, self._settings, context, self._waiter)

        settings = self._settings
        return explain(error, settings.certified_name, settings.tls, self._context, look)

    def _upgrade(self, stream: Stream, mac: bytes, until_s: float) -> Connection:
        """Send the request to upgrade; return the WebSocket that it becomes."""
        upgrade = Upgrade(self._settings, mac)
        # A server that refuses our certificate closes before it reads this. Its reason comes below.
        with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
            write(stream, upgrade.request, self._waiter, until_s)
        buffer = memoryview(bytearray(READ_BYTES))
        while True:
            count = read(stream, buffer, self._waiter, until_s)
            if not count:
                raise ConnectError(_hung_up(self._settings.url))
            if upgrade.feed(buffer[:count]):
                return Connection(
                    stream,
                    upgrade.early,
                    has_offload=upgrade.has_offload,
                    answers_pings=upgrade.answers_pings,
                )
            if upgrade.refused_with:
                body_until_s = min(until_s, self._waiter.now() + BODY_TIMEOUT_S)
                self._read_refusal(stream, upgrade, body_until_s)

    def _read_refusal(self, stream: Stream, upgrade: Upgrade, until_s: float) -> NoReturn:
        """Read the body of a refusal, as far as it comes in time; raise RefusedError."""
        buffer = memoryview(bytearray(READ_BYTES))
        with contextlib.suppress(OSError):
            while count := read(stream, buffer, self._waiter, until_s):
                upgrade.feed(buffer[:count])
        raise upgrade.refusal()


def open_tls(
    ways: Ways, settings: ClientSettings, context: ssl.SSLContext, waiter: Waiter
) -> TlsStream:
    """Return TLS with the server of `settings`, to look at its certificate.

    Raises ConnectError, RefusedError, OSError (ssl.SSLError among them), Stopped.
    """
    sock = ways.open(settings.url)
    try:
        return secure(sock, settings, context, waiter, waiter.now() + HANDSHAKE_TIMEOUT_S)
    except BaseException:
        sock.close()
        raise


def _casts_doubt(error: BaseException) -> bool:
    """Return whether another address of the server may do better after `error`.

    Not after an answer: whoever gave it is there. A certificate that is not accepted is one.
    """
    if isinstance(error, RefusedError | NetworkChangedError):
        return False
    if isinstance(error, ssl.SSLError):
        return isinstance(error, TLS_ENDED)
    return isinstance(error, OSError | ConnectError)


def _failure(error: OSError, url: ServerUrl) -> ConnectError:
    """Return what to raise when the connection to `url` failed before it was a WebSocket."""
    if isinstance(error, TimeoutError):
        what = f"took the connection, then said nothing for {HANDSHAKE_TIMEOUT_S:.0f} s"
        return ConnectError(f"{url.authority} {what}: check host and port")
    hint = _tls_hint(url) if isinstance(error, ConnectionError) else ""
    return ConnectError(f"{url.authority} hung up: {reason_of(error)}{hint}")


def _hung_up(url: ServerUrl) -> str:
    return f"{url.authority} hung up instead of answering the request to upgrade{_tls_hint(url)}"


def _tls_hint(url: ServerUrl) -> str:
    """Return what to think of when a server hangs up on a request in the clear."""
    return "" if url.secure else "; does that port speak TLS (wss://)?"
