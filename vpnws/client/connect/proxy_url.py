"""Reads a proxy's URL, from --proxy or from a variable of the environment."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from vpnws.client.settings import Proxy, ProxyScheme
from vpnws.errors import ConfigError
from vpnws.https.login import check_user

EXAMPLE: Final = "write it like http://proxy.example.org:3128 or socks5h://[2001:db8::1]:1080"
_ESCAPED: Final = "in a password, write / ? # as %2F %3F %23"
_PORTS: Final = {
    ProxyScheme.HTTP: 80,
    ProxyScheme.HTTPS: 443,
    ProxyScheme.SOCKS5: 1080,
    ProxyScheme.SOCKS5H: 1080,
}
_SAME: Final = {"socks": ProxyScheme.SOCKS5H}
"""What desktops write into ALL_PROXY, and what is meant by it."""
_SOCKS_4: Final = ("socks4", "socks4a")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\S+)?")


def parse_proxy(text: str, origin: str) -> tuple[Proxy, bool]:
    """Read a proxy's URL; one without a scheme is an HTTP proxy's, as for curl.

    Return the proxy, and whether its URL names a user without a password. `origin` is the option
    or variable that it comes from. Raises ConfigError, which never repeats a user or a password.
    """
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise _wrong(origin, "it is empty, or has a space or a control character in it")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise _wrong(origin, f"its host or its port is not proper; {_ESCAPED}") from error
    scheme = _scheme(parts, origin)
    login, lacks_password = _login(parts, origin)
    return Proxy(
        scheme=scheme,
        host=_host(parts, origin),
        port=port or _PORTS[scheme],
        login=login,
        origin=origin,
    ), lacks_password


def _wrong(origin: str, what: str) -> ConfigError:
    return ConfigError(f"the proxy in {origin} cannot be used: {what}; {EXAMPLE}")


def _scheme(parts: SplitResult, origin: str) -> ProxyScheme:
    if parts.scheme in _SOCKS_4:
        raise _wrong(origin, "it is of version 4 of SOCKS, which knows no password and no IPv6")
    if parts.scheme in _SAME:
        return _SAME[parts.scheme]
    try:
        return ProxyScheme(parts.scheme)
    except ValueError as error:
        known = ", ".join(f"{scheme.value}://" for scheme in ProxyScheme)
        raise _wrong(origin, f"it begins with none of {known}") from error


def _host(parts: SplitResult, origin: str) -> str:
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _wrong(origin, f"there is something after its host and port; {_ESCAPED}")
    host = unquote(parts.hostname or "")
    try:
        name = host if ":" in host else host.encode("idna").decode()
    except UnicodeError as error:
        raise _wrong(origin, "its host is not a proper name") from error
    if _HOST.fullmatch(name) is None:
        raise _wrong(origin, "it names no proper host")
    return name


def _login(parts: SplitResult, origin: str) -> tuple[tuple[str, str] | None, bool]:
    """Return user and password, and whether only the user is named."""
    if parts.username is None:
        return None, False
    try:
        user = unquote(parts.username, errors="strict")
        password = unquote(parts.password or "", errors="strict")
    except UnicodeDecodeError as error:
        what = "the user or the password is not UTF-8 once percent-decoded"
        raise _wrong(origin, what) from error
    check_user(user)
    return (user, password), parts.password is None
