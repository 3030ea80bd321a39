"""Asks a SOCKS5 proxy for a connection (RFC 1928, RFC 1929): bytes in, bytes out, no I/O."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from vpnws.client.connect.tunnel import host_port
from vpnws.errors import ConfigError, ConnectError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.settings import Proxy

MAX_FIELD_BYTES: Final = 255
"""A name, a user and a password have a length of one byte; longer ones are refused."""
LOGIN_REFUSED: Final = 407
"""The status of HTTP that means the same as a login that a SOCKS proxy refuses."""
_VERSION: Final = 5
_LOGIN_VERSION: Final = 1
_NO_LOGIN: Final = 0
_USER_AND_PASSWORD: Final = 2
_NO_METHOD: Final = 0xFF
_CONNECT: Final = 1
_IPV4: Final = 1
_NAME: Final = 3
_IPV6: Final = 4
_REPLY_HEAD_BYTES: Final = 5
"""Version, reply, reserved, type of the address, and the address's first byte."""
_REPLIES: Final = {
    1: "it failed, and does not say why",
    2: "its rules do not allow that: whoever runs the proxy decides",
    3: "it has no route to there",
    4: "it cannot reach that server, or not look up its name: is the name right?",
    5: "nobody listens there: does the server run, and is the port right?",
    6: "it got no answer in time",
    7: "it makes no connections (CONNECT) for others",
    8: "it does not know this kind of address: try socks5h://, so that it looks up the name",
}
"""What the reply codes mean (RFC 1928 section 6)."""


class SocksTunnel:
    """One request to a SOCKS5 proxy to connect us to `host`, a name or an address, and `port`."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        """Raise ConfigError if the protocol cannot carry the name, the user or the password."""
        self._proxy = proxy
        self._target = host_port(host, port)
        self._connect = bytes((_VERSION, _CONNECT, 0)) + _encode_host(host) + port.to_bytes(2)
        self._login = b"" if proxy.login is None else _encode_login(*proxy.login)
        methods = [_NO_LOGIN] if proxy.login is None else [_NO_LOGIN, _USER_AND_PASSWORD]
        self._unsent = bytes((_VERSION, len(methods), *methods))
        self._received = bytearray()
        self._next: Callable[[], bool] = self._read_method
        self.is_open = False
        """Whether what comes next is the server's."""

    def take_unsent(self) -> bytes:
        """Return what to send now."""
        data, self._unsent = self._unsent, b""
        return data

    def feed(self, data: bytes | memoryview) -> None:
        """Take received bytes. Raises ConnectError, RefusedError once it is known that the proxy
        makes no connection.
        """
        self._received += data
        while not self.is_open and self._next():
            pass

    def _take(self, count: int) -> bytes | None:
        """Return the next `count` bytes, None if they have not all come."""
        if len(self._received) < count:
            return None
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _read_method(self) -> bool:
        """Read which login the proxy chose."""
        if self._received and self._received[0] != _VERSION:
            raise self._strange()
        answer = self._take(2)
        if answer is None:
            return False
        method = answer[1]
        if method == _USER_AND_PASSWORD and self._login:
            self._unsent, self._next = self._login, self._read_verdict
        elif method == _NO_LOGIN:
            self._unsent, self._next = self._connect, self._read_reply
        else:
            raise RefusedError(LOGIN_REFUSED, self._why_no_login(method))
        return True

    def _read_verdict(self) -> bool:
        """Read whether the proxy accepts our user and password (RFC 1929 section 2)."""
        answer = self._take(2)
        if answer is None:
            return False
        if answer[1]:
            name = self._proxy.named
            raise RefusedError(LOGIN_REFUSED, f"{name} does not accept this user and password")
        self._unsent, self._next = self._connect, self._read_reply
        return True

    def _read_reply(self) -> bool:
        """Read whether the proxy has connected (RFC 1928 section 6)."""
        if len(self._received) >= 2 and self._received[1]:
            code = self._received[1]
            hint = _REPLIES.get(code, f"it says {code}, which no standard defines")
            raise ConnectError(f"{self._proxy.named} makes no connection to {self._target}: {hint}")
        if len(self._received) < _REPLY_HEAD_BYTES:
            return False
        kind, first = self._received[3], self._received[4]
        # The address that it connects from follows, and its port; both tell us nothing.
        address_bytes = {_IPV4: 4, _IPV6: 16, _NAME: 1 + first}.get(kind)
        if address_bytes is None:
            raise self._strange()
        if self._take(4 + address_bytes + 2) is None:
            return False
        if self._received:
            raise self._strange()
        self.is_open = True
        return True

    def _strange(self) -> ConnectError:
        what = "what answers there is no SOCKS5 proxy"
        if self._received.startswith(b"H"):
            what = "it speaks HTTP: write http:// in its URL"
        return ConnectError(f"{self._proxy.named} cannot be used: {what}")

    def _why_no_login(self, method: int) -> str:
        name = self._proxy.named
        if not self._login and method in (_NO_METHOD, _USER_AND_PASSWORD):
            return (
                f"{name} wants a login: put the user into its URL, as in socks5h://USER@HOST:PORT,"
                " and the password into the file of --proxy-password-file"
            )
        return f"{name} accepts no login by user and password, and none without (RFC 1929)"


def _encode_host(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        return bytes((_NAME, _length(name, "the server's name"))) + name
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed


def _encode_login(user: str, password: str) -> bytes:
    fields = [(user.encode(), "its user"), (password.encode(), "its password")]
    encoded = b"".join(bytes((_length(field, what),)) + field for field, what in fields)
    return bytes((_LOGIN_VERSION,)) + encoded


def _length(field: bytes, what: str) -> int:
    if not 1 <= len(field) <= MAX_FIELD_BYTES:
        raise ConfigError(
            f"the SOCKS proxy cannot be used: {what} is empty or longer than {MAX_FIELD_BYTES}"
            " bytes"
        )
    return len(field)
