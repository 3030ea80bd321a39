"""Reads the server's URL: scheme, host, port, path, and the user if there is one."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from vpnws.client.settings import DEFAULT_PORTS, ServerUrl
from vpnws.errors import ConfigError
from vpnws.https.login import check_user

_ESCAPED: Final = "in a password or a path, write / ? # @ [ ] as %2F %3F %23 %40 %5B %5D"
EXAMPLE: Final = "write it like wss://user:password@vpn.example.org/vpn"
_KEPT_IN_PATH: Final = ":/?#[]@!$&'()*+,;=%"
"""Delimiters of RFC 3986, and the percent sign of what is already encoded."""
_USERINFO: Final = re.compile(r"//\S*@")


def parse_url(text: str) -> ServerUrl:
    """Read a ws:// or wss:// URL (RFC 6455 section 3, RFC 3986).

    Raises ConfigError with a sentence that never repeats the user or the password.
    """
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise _url_error("it is empty, or has a space or a control character in it")
    parts = _split(text)
    _check_delimiters(parts)
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
    """Return `text` with *** in place of anything that may be a URL's user and password."""
    return _USERINFO.sub("//***@", text)


def _url_error(what: str) -> ConfigError:
    return ConfigError(f"the URL cannot be used: {what}; {EXAMPLE}")


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _url_error(f"its host is not a proper address; {_ESCAPED}") from error
    if parts.scheme in ("http", "https"):
        instead = "wss" if parts.scheme == "https" else "ws"
        raise _url_error(f"the scheme is {parts.scheme}, where {instead} is needed")
    if parts.scheme not in DEFAULT_PORTS or "://" not in text:
        # What may be a user and a password is not repeated.
        shown = "it" if "@" in text else repr(text)
        raise _url_error(f"{shown} does not begin with ws:// or wss://")
    if parts.fragment or text.endswith("#"):
        raise _url_error("it has a fragment ('#'); write %23 if you mean the character")
    return parts


def _check_delimiters(parts: SplitResult) -> None:
    """Find a password that ends too early, and an IPv6 address without brackets."""
    host = parts.netloc.rpartition("@")[2]
    # A raw '/' or '?' in a password ends the host there, and leaves the '@' behind.
    if "@" in parts.path or (":" in host and "@" in parts.query and not _has_port(parts)):
        raise _url_error(f"it has a '@' behind the host; {_ESCAPED}")
    if host.count(":") > 1 and not host.startswith("["):
        raise _url_error("an IPv6 address needs brackets, like wss://[2001:db8::1]:8443/vpn")


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port is not None
    except ValueError:
        return False


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise _url_error("the port is not a number from 1 to 65535") from error
    if port == 0:
        raise _url_error("the port is not a number from 1 to 65535")
    return DEFAULT_PORTS[parts.scheme] if port is None else port


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "")
    if not host:
        raise _url_error("it names no host")
    if ":" in host:
        return _ipv6_host(host)
    try:
        name = host.encode("idna").decode()
    except UnicodeError as error:
        raise _url_error("its host is not a proper name") from error
    if re.fullmatch(r"[A-Za-z0-9._-]+", name) is None:
        raise _url_error("its host is not a proper name")
    return name


def _ipv6_host(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise _url_error("its host is not a proper IPv6 address") from error
    # Each link has such addresses (RFC 4007 section 6): the kernel calls one alone invalid.
    if address.is_link_local and address.scope_id is None:
        raise _url_error(f"{address} needs the device that leads there, like [{address}%eth0]")
    return str(address)


def _userinfo(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    if parts.password is None:
        raise _url_error("it names a user without a password (see --user and --password-file)")
    try:
        user = unquote(parts.username, errors="strict")
        password = unquote(parts.password, errors="strict")
    except UnicodeDecodeError as error:
        raise _url_error("the user or the password is not UTF-8 once percent-decoded") from error
    check_user(user)
    return user, password
