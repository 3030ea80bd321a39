"""Reads the server's URL: scheme, host, port, path, and the user that may stand in it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from vpnws.errors import ConfigError

EXAMPLE: Final = "write it like wss://user:password@vpn.example.org/vpn"
DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_KEPT_IN_PATH: Final = ":/?#[]@!$&'()*+,;=%"
"""Delimiters of RFC 3986, and the percent sign of what is already encoded."""
_USERINFO: Final = re.compile(r"//\S*@")


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """Where the server is; `user` and `password` are percent-decoded and never shown."""

    secure: bool
    host: str
    """A name in ASCII, or an IP address without brackets, perhaps with an IPv6 zone."""
    port: int
    path: str
    query: str = field(default="", repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The URL for people: without the user, the password and the query, which may be secret."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL; the port only if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == DEFAULT_PORTS["wss" if self.secure else "ws"]
        return host if usual else f"{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The host as the server knows it: an IPv6 zone means something on this machine only."""
        return self.host.partition("%")[0]


def parse_url(text: str) -> ServerUrl:
    """Read a ws:// or wss:// URL (RFC 6455 section 3, RFC 3986).

    Raises ConfigError with a sentence that never repeats the user or the password.
    """
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise _wrong("it is empty, or has a space or a control character in it")
    parts = _split(text)
    user, password = _userinfo(parts)
    return ServerUrl(
        secure=parts.scheme == "wss",
        host=_host(parts),
        port=_port(parts),
        path=quote(parts.path, safe=_KEPT_IN_PATH) or "/",
        query=quote(parts.query, safe=_KEPT_IN_PATH),
        user=user,
        password=password,
    )


def hide_userinfo(text: str) -> str:
    """Return `text` with what may be a user and a password in a URL starred out."""
    return _USERINFO.sub("//***@", text)


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"the URL cannot be used: {what}; {EXAMPLE}")


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _wrong("its host is not a proper address") from error
    if parts.scheme in ("http", "https"):
        instead = "wss" if parts.scheme == "https" else "ws"
        raise _wrong(f"the scheme is {parts.scheme}, where {instead} is needed")
    if parts.scheme not in DEFAULT_PORTS or "://" not in text:
        raise _wrong("it does not begin with ws:// or wss://")
    if parts.fragment or text.endswith("#"):
        raise _wrong("it has a fragment ('#'); write %23 if you mean the character")
    return parts


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise _wrong("the port is not a number from 1 to 65535") from error
    if port == 0:
        raise _wrong("the port is not a number from 1 to 65535")
    return DEFAULT_PORTS[parts.scheme] if port is None else port


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "")
    if not host:
        raise _wrong("it names no host")
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise _wrong("its host is not a proper IPv6 address") from error
    try:
        name = host.encode("idna").decode()
    except UnicodeError as error:
        raise _wrong("its host is not a proper name") from error
    if re.fullmatch(r"[A-Za-z0-9._-]+", name) is None:
        raise _wrong("its host is not a proper name")
    return name


def _userinfo(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    if parts.password is None:
        raise _wrong("it names a user without a password (see --user and --password-file)")
    try:
        user = unquote(parts.username, errors="strict")
        password = unquote(parts.password, errors="strict")
    except UnicodeDecodeError as error:
        raise _wrong("the user or the password is not UTF-8 once percent-decoded") from error
    check_user(user)
    return user, password


def check_user(user: str) -> None:
    """Raise ConfigError when `user` cannot be sent by HTTP's Basic scheme (RFC 7617 section 2)."""
    if not user or ":" in user:
        raise ConfigError("the user's name is empty or has a ':' in it: HTTP cannot carry that")
