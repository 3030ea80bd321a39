"""Asks an HTTP proxy for a tunnel (CONNECT, RFC 9110 9.3.6): bytes in, bytes out, no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from websockets.headers import build_authorization_basic

from vpnws import __version__
from vpnws.client.connect.heads import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    NETWORK_AUTHENTICATION_REQUIRED,
    TLS_ALERT,
    location_of,
    may_begin_head,
    status_of,
)
from vpnws.client.connect.tunnel import host_port
from vpnws.errors import ConnectError, RefusedError
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.client.settings import Proxy

MAX_INTERIM_ANSWERS: Final = 8
"""A proxy that sends more answers before the real one (100 to 199) is refused."""
PROXY_AUTHENTICATION_REQUIRED: Final = 407
_SCHEME: Final = re.compile(rb"\r\nproxy-authenticate:[ \t]*([!-~]{1,32})", re.IGNORECASE)
_SQUID_ERROR: Final = re.compile(rb"\r\nx-squid-error:[ \t]*([A-Z_]{1,40})", re.IGNORECASE)
_SQUID_MEANS: Final = {
    "ERR_DNS_FAIL": "it cannot look up that name: is it right, and known outside of this network?",
    "ERR_CANNOT_FORWARD": "it finds no way there: can it look up that name, and reach it?",
    "ERR_CONNECT_FAIL": "nobody answers it there: does the server run, and is the port right?",
    "ERR_READ_TIMEOUT": "nobody answers it there: does a firewall let the port through?",
}
"""What Squid says in a header of its own."""
_REFUSES: Final = "whoever runs the proxy decides that; many proxies allow tunnels to port 443 only"
_NO_TUNNEL: Final = "does it speak CONNECT at all: are its host and port right?"
_HINTS: Final = {
    400: _NO_TUNNEL,
    403: _REFUSES,
    404: _NO_TUNNEL,
    405: _REFUSES,
    500: "it cannot reach that server: does it run, and is the name right?",
    501: _NO_TUNNEL,
    502: "it cannot reach that server: does it run, and is the port right?",
    503: "it cannot reach that server: does it run, and is the port right?",
    504: "that server does not answer it: does it run, and is the port right?",
}


class HttpTunnel:
    """One request to an HTTP proxy to connect us to `host` and `port`."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy = proxy
        self._target = host_port(host, port)
        self._unsent = _request(proxy, self._target)
        self._received = bytearray()
        self._interim = 0
        self.is_open = False
        """Whether what comes next is the server's."""

    def take_unsent(self) -> bytes:
        """Return what to send now."""
        data, self._unsent = self._unsent, b""
        return data

    def feed(self, data: bytes | memoryview) -> None:
        """Take received bytes. Raises ConnectError, RefusedError once it is known that the proxy
        makes no tunnel.
        """
        self._received += data
        # An interim answer comes before the real one (RFC 9110 15.2).
        while (head := self._take_head()) and (status := self._status_of(head)) < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM_ANSWERS:
                raise self._strange("it answers without an end")
        if not head:
            return
        if status >= 300:
            raise self._refused(status, head)
        if self._received:
            raise self._strange("it sent more than an answer; is what listens there a web server")
        self.is_open = True

    def _take_head(self) -> bytes:
        """Return the head of an answer once it is complete, else nothing."""
        head, end, rest = bytes(self._received).partition(END_OF_HEAD)
        self._check_protocol(head)
        if len(head) > MAX_HEAD_BYTES:
            raise self._strange(f"its answer has a head of more than {MAX_HEAD_BYTES} bytes")
        if not end:
            return b""
        self._received = bytearray(rest)
        return head + end

    def _status_of(self, head: bytes) -> int:
        status = status_of(head)
        if status is None:
            raise self._strange("its answer has no proper HTTP status line")
        return status

    def _check_protocol(self, head: bytes) -> None:
        if may_begin_head(head):
            return
        if head.startswith(TLS_ALERT):
            raise self._strange("it speaks TLS: write https:// in its URL")
        if head.startswith(b"\x05"):
            raise self._strange("it speaks SOCKS: write socks5h:// in its URL")
        raise self._strange("what answers there is no HTTP proxy: are its host and port right")

    def _strange(self, what: str) -> ConnectError:
        return ConnectError(f"{self._proxy.named} cannot be used: {what}")

    def _refused(self, status: int, head: bytes) -> ConnectError:
        """Return what to raise for an answer that is no tunnel."""
        if status == PROXY_AUTHENTICATION_REQUIRED:
            schemes = {found.decode().lower() for found in _SCHEME.findall(head)}
            return RefusedError(status, self._why_no_login(schemes))
        if status == NETWORK_AUTHENTICATION_REQUIRED or status < 400:
            return self._strange(f"a login page answers instead{_place(head)} (HTTP {status})")
        squid = _SQUID_ERROR.search(head)
        hint = _SQUID_MEANS.get(squid[1].decode()) if squid is not None else None
        hint = hint or _HINTS.get(status, "see the proxy's log")
        return ConnectError(
            f"{self._proxy.named} makes no connection to {self._target} (HTTP {status}): {hint}"
        )

    def _why_no_login(self, schemes: set[str]) -> str:
        name = self._proxy.named
        if "basic" not in schemes and schemes:
            wanted = " or ".join(sorted(map(one_line, schemes)))
            return (
                f"{name} accepts logins by {wanted} only, which this client does not speak (HTTP"
                " 407): run a proxy on this machine that does (cntlm, px), and name that one"
            )
        if self._proxy.login is None:
            return (
                f"{name} wants a user and a password (HTTP 407): put the user into its URL, as in"
                " http://USER@HOST:PORT, and the password into the file of --proxy-password-file"
            )
        return f"{name} does not accept this user and password (HTTP 407)"


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [
        f"CONNECT {target} HTTP/1.1",
        f"Host: {target}",
        f"User-Agent: vpnws-client/{__version__}",
    ]
    if proxy.login is not None:
        lines.append(f"Proxy-Authorization: {build_authorization_basic(*proxy.login)}")
    return "\r\n".join([*lines, "", ""]).encode()


def _place(head: bytes) -> str:
    place = location_of(head).partition("?")[0]
    return f", at {one_line(place)}" if place else ""
