"""Connects to the server: addresses, TCP, TLS, upgrade; each step has a time limit."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from vpnws.client.carry.connection import Connection
from vpnws.client.carry.keepalive import DEAD_AFTER_S
from vpnws.client.carry.stream import Stream, TlsStream
from vpnws.client.connect.detour import detour
from vpnws.client.connect.handshake import Upgrade
from vpnws.client.connect.resolve import resolve
from vpnws.errors import ConnectError
from vpnws.https import tls
from vpnws.sizes import MAX_UNSENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.client.settings import ClientSettings, ServerUrl
    from vpnws.client.waiting import Waiter

TCP_TIMEOUT_S: Final = 5.0
"""An address that takes longer to connect is given up, and the next one is tried."""
HANDSHAKE_TIMEOUT_S: Final = 10.0
"""If TLS and the upgrade together take longer, the attempt has failed."""
DEAD_AFTER_MS: Final = int(DEAD_AFTER_S * 1000)
"""A connection whose peer acknowledges nothing for this long is ended by the kernel."""
TLS_TIMEOUT_S: Final = 5.0
"""A server that takes longer to begin TLS most likely does not speak it."""
READ_BYTES: Final = 4096
"""One read of the answer takes at most this much."""
BODY_TIMEOUT_S: Final = 1.0
"""When a server has refused, the rest of its reason is waited for this long."""
_TLS_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What TLS raises when the connection ended without an error."""


def connect(
    settings: ClientSettings, context: ssl.SSLContext | None, mac: bytes, waiter: Waiter
) -> Connection:
    """Return a WebSocket, which may already have received messages.

    `context` is for wss, None for ws; `mac` is what the station announces. Raises ConnectError,
    RefusedError, TlsError, and Stopped when told to stop.
    """
    url = settings.url
    sock = _connect_any(settings, waiter)
    until_s = waiter.now() + HANDSHAKE_TIMEOUT_S
    try:
        stream = _open_stream(sock, context, url, waiter, until_s)
        return _upgrade(stream, settings, mac, waiter, until_s)
    except BaseException as error:
        sock.close()
        if isinstance(error, ssl.SSLError) and not isinstance(error, _TLS_ENDED):
            raise _explain(error, settings, context, waiter) from error
        if isinstance(error, TimeoutError):
            what = f"took the connection, then said nothing for {HANDSHAKE_TIMEOUT_S:.0f} s"
            raise ConnectError(f"{url.authority} {what}: check host and port") from error
        if isinstance(error, OSError):
            hint = _tls_hint(url) if isinstance(error, ConnectionError) else ""
            raise ConnectError(f"{url.authority} hung up: {_reason(error)}{hint}") from error
        raise


def _explain(
    error: ssl.SSLError, settings: ClientSettings, context: ssl.SSLContext | None, waiter: Waiter
) -> ConnectError:
    """Return what to raise when TLS failed with `error`."""
    name = settings.url.server_name
    if context is None or not tls.is_about_dates(error):
        return tls.explain(error, name, settings.tls.authority)
    certificate: Mapping[str, Any] = {}
    # What has gone wrong is known already. The dates only make it clearer.
    with contextlib.suppress(OSError, ConnectError), tls.ignoring_dates(context):
        certificate = _fetch_certificate(settings, context, waiter)
    return tls.explain_dates(name, certificate, time.time())


def _fetch_certificate(
    settings: ClientSettings, context: ssl.SSLContext, waiter: Waiter
) -> Mapping[str, Any]:
    """Connect once more, and return the server's certificate; send nothing but TLS."""
    with contextlib.closing(_connect_any(settings, waiter)) as sock:
        stream = TlsStream(sock, context, settings.url.server_name)
        _shake_hands(stream, settings.url, waiter, waiter.now() + HANDSHAKE_TIMEOUT_S)
        return stream.certificate


def _connect_any(settings: ClientSettings, waiter: Waiter) -> socket.socket:
    """Return a socket connected to the server's first address that answers."""
    name = settings.url.authority
    failures: dict[str, list[str]] = {}
    for family, address in resolve(settings.url.host, settings.url.port, waiter):
        try:
            return _connect_one(family, address, waiter)
        except OSError as error:
            own = detour(family, address, settings.addresses)
            failures.setdefault(_detour_reason(own) or _reason(error), []).append(address[0])
    why = "; ".join(f"{reason} ({', '.join(hosts)})" for reason, hosts in failures.items())
    raise ConnectError(f"cannot connect to {name}: {why}")


def _connect_one(
    family: socket.AddressFamily, address: tuple[object, ...], waiter: Waiter
) -> socket.socket:
    waiter.before_connect(str(address[0]))
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            waiter.wait(sock.fileno(), select.POLLOUT, waiter.now() + TCP_TIMEOUT_S)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_stream(
    sock: socket.socket,
    context: ssl.SSLContext | None,
    url: ServerUrl,
    waiter: Waiter,
    until_s: float,
) -> Stream:
    """Return a stream over `sock`; with a `context`, do the TLS handshake first."""
    if context is None:
        return Stream(sock)
    stream = TlsStream(sock, context, url.server_name)
    _shake_hands(stream, url, waiter, until_s)
    return stream


def _shake_hands(stream: TlsStream, url: ServerUrl, waiter: Waiter, until_s: float) -> None:
    """Do the TLS handshake. Raises ConnectError when the server does not begin it, OSError."""
    has_begun = False
    begin_until_s = min(until_s, waiter.now() + TLS_TIMEOUT_S)
    while not stream.handshake():
        events = select.POLLOUT if stream.has_unsent else select.POLLIN
        try:
            waiter.wait(stream.fd, events, until_s if has_begun else begin_until_s)
        except TimeoutError as error:
            if has_begun:
                raise
            raise ConnectError(
                f"{url.authority} took the connection and did not begin TLS: check host and port,"
                " or use ws:// if that port does not speak TLS"
            ) from error
        has_begun = has_begun or events == select.POLLIN


def _upgrade(
    stream: Stream, settings: ClientSettings, mac: bytes, waiter: Waiter, until_s: float
) -> Connection:
    """Send the request to upgrade; return the WebSocket that it becomes."""
    upgrade = Upgrade(settings, mac)
    # A server that refuses our certificate closes before it reads this. Its reason comes below.
    with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
        _write(stream, upgrade.request, waiter, until_s)
    buffer = memoryview(bytearray(READ_BYTES))
    while True:
        count = _read(stream, buffer, waiter, until_s)
        if not count:
            raise ConnectError(_hung_up(settings.url))
        if upgrade.feed(buffer[:count]):
            return Connection(
                stream,
                upgrade.early,
                has_offload=upgrade.has_offload,
                answers_pings=upgrade.answers_pings,
            )
        if upgrade.refused_with:
            _read_refusal(stream, upgrade, waiter, min(until_s, waiter.now() + BODY_TIMEOUT_S))


def _read_refusal(stream: Stream, upgrade: Upgrade, waiter: Waiter, until_s: float) -> NoReturn:
    """Read the body of a refusal, as far as it comes in time; raise RefusedError."""
    buffer = memoryview(bytearray(READ_BYTES))
    with contextlib.suppress(OSError):
        while count := _read(stream, buffer, waiter, until_s):
            upgrade.feed(buffer[:count])
    raise upgrade.refusal()


def _hung_up(url: ServerUrl) -> str:
    return f"{url.authority} hung up instead of answering the request to upgrade{_tls_hint(url)}"


def _tls_hint(url: ServerUrl) -> str:
    """Return what to think of when a server hangs up on a request in the clear."""
    return "" if url.secure else "; does that port speak TLS (wss://)?"


def _read(stream: Stream, buffer: memoryview, waiter: Waiter, until_s: float) -> int:
    """Read the next bytes into `buffer`; return how many there are, 0 at the end."""
    while (count := stream.read_into(buffer)) is None:
        waiter.wait(stream.fd, select.POLLIN, until_s)
    return count


def _write(stream: Stream, data: bytes, waiter: Waiter, until_s: float) -> None:
    """Write all of `data`."""
    stream.write(data)
    stream.flush()
    while stream.has_unsent:
        waiter.wait(stream.fd, select.POLLOUT, until_s)
        stream.flush()


def _detour_reason(own: str) -> str:
    if not own:
        return ""
    return (
        f"--address {own} covers the server's own address, so this machine looks for the server"
        " inside the VPN; give the VPN another network, or the address a longer prefix"
    )


def _reason(error: OSError) -> str:
    if isinstance(error, _TLS_ENDED):
        return "it ended the connection inside TLS; does that port speak TLS?"
    hint = _HINTS.get(error.errno or 0)
    return f"{error.strerror or error}{f', {hint}' if hint else ''}"


_HINTS: Final = {
    errno.ECONNREFUSED: "nobody listens there: does the server run, and is the port right?",
    errno.ENETUNREACH: "this machine has no route to there (ip route, ip -6 route)",
    errno.EHOSTUNREACH: "no machine answers at that address",
    errno.ETIMEDOUT: "no answer: is the address right, and does a firewall let the port through?",
}
"""What to look at, by the error of a connect(2)."""
