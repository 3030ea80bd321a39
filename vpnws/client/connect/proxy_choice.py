"""Chooses the proxy for a server from the environment, by the rules of curl."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from vpnws.client.connect.proxy_url import parse_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.client.settings import Proxy, ServerUrl

FOR_WSS: Final = ("wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY")
FOR_WS: Final = ("ws_proxy", "WS_PROXY", "http_proxy")
"""HTTP_PROXY is none of them: in a CGI program it is a header of the request (CVE-2016-5385)."""
FOR_ALL: Final = ("all_proxy", "ALL_PROXY")
EXEMPT: Final = ("no_proxy", "NO_PROXY")


def choose(url: ServerUrl, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that `environ` names for the server at `url`, None if it names none.

    The first variable that is not empty counts. Raises ConfigError if it cannot be used.
    """
    names = FOR_WSS if url.secure else FOR_WS
    named = next((name for name in (*names, *FOR_ALL) if environ.get(name)), None)
    if named is None:
        return None
    exempt = next((environ[name] for name in EXEMPT if environ.get(name)), "")
    return None if is_exempt(url, exempt) else parse_proxy(environ[named], named)[0]


def is_exempt(url: ServerUrl, listed: str) -> bool:
    """Return whether the server at `url` is `listed` among those to reach without a proxy.

    The entries of NO_PROXY are separated by commas or spaces. Each is a name, which covers the
    names below it too, an address, a network such as 10.0.0.0/8, or a name or an address with a
    port. `*` covers all servers.
    """
    return any(_covers(entry, url) for entry in listed.replace(",", " ").split())


def _covers(entry: str, url: ServerUrl) -> bool:
    if entry == "*":
        return True
    host, port = _split(entry.lower())
    if port and port != str(url.port):
        return False
    address = _address(url.server_name)
    if address is not None:
        return _covers_address(host, address)
    name = url.host.lower().rstrip(".")
    suffix = host.strip(".")
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))


def _split(entry: str) -> tuple[str, str]:
    """Return host and port of an entry, the port empty if it names none."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _covers_address(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
