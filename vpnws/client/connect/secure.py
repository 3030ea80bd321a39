"""TLS with a server: the handshake within its time, and in words why it failed."""

from __future__ import annotations

import select
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from vpnws.client.carry.nested import make_tls_stream
from vpnws.errors import ConnectError, NetworkChangedError
from vpnws.https import tls
from vpnws.https.issuer import issuer_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from vpnws.client.carry.stream import StreamSocket, TlsStream
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter

TLS_TIMEOUT_S: Final = 5.0
"""A server that takes longer to begin TLS most likely does not speak it."""


def shake_hands(stream: TlsStream, authority: str, waiter: Waiter, until_s: float) -> None:
    """Do the TLS handshake with the server at `authority`, until `until_s` on the clock.

    Raises ConnectError when the server does not begin it, OSError (ssl.SSLError among them).
    """
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
                f"{authority} took the connection and did not begin TLS: check host and port,"
                " or use ws:// if that port does not speak TLS"
            ) from error
        has_begun = has_begun or events == select.POLLIN


def secure(
    sock: StreamSocket,
    settings: ClientSettings,
    context: ssl.SSLContext,
    waiter: Waiter,
    until_s: float,
) -> TlsStream:
    """Return TLS over `sock` with the server of `settings`. Raises as `shake_hands` does."""
    stream = make_tls_stream(sock, context, settings.certified_name)
    shake_hands(stream, settings.url.authority, waiter, until_s)
    return stream


def explain(
    error: ssl.SSLError,
    name: str,
    settings: tls.TlsSettings,
    context: ssl.SSLContext | None,
    look: Callable[[ssl.SSLContext], TlsStream],
) -> ConnectError:
    """Return what to raise when TLS with the server `name` failed with `error`.

    Where its certificate says more than the error, `look` connects once more, with the context
    that it is given, and sends nothing but TLS.
    """
    if context is not None and tls.is_about_dates(error):
        return tls.explain_dates(name, _dates(context, look), time.time())
    issuer = _issuer(look) if tls.is_about_trust(error) else ""
    return tls.explain(error, name, settings.authority, issuer)


def _dates(
    context: ssl.SSLContext, look: Callable[[ssl.SSLContext], TlsStream]
) -> Mapping[str, Any]:
    with _unless_it_fails(), tls.ignoring_dates(context), closing(look(context)) as stream:
        return stream.certificate
    return {}


def _issuer(look: Callable[[ssl.SSLContext], TlsStream]) -> str:
    with _unless_it_fails(), closing(look(tls.make_trusting_context())) as stream:
        return issuer_of(stream.certificate_bytes)
    return ""


@contextmanager
def _unless_it_fails() -> Iterator[None]:
    """Leave out what the certificate would say: what has gone wrong is known without it."""
    try:
        yield
    except NetworkChangedError:
        raise
    except (OSError, ConnectError):
        pass
