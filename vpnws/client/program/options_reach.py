"""Options of the way to the server: TLS, and the proxy on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.connect.proxy_choice import choose
from vpnws.client.connect.proxy_url import parse_proxy
from vpnws.client.connect.servers import MAX_SERVERS
from vpnws.client.connect.url import parse_url
from vpnws.client.settings import Proxy, ProxyScheme, ServerUrl
from vpnws.errors import ConfigError
from vpnws.https.login import ask_password, read_secret
from vpnws.https.tls import TlsSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

TITLE: Final = "the way to the server"
NO_PROXY: Final = "none"
"""What --proxy says when there shall be none."""


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    _add_tls(group)
    group.add_argument(
        "--proxy",
        metavar="URL",
        help="go through this proxy: http://[USER@]HOST:PORT, https://, socks5h:// (it looks up the"
        " server's name) or socks5:// (this machine does); none for no proxy (default: the one in"
        " https_proxy or all_proxy, unless no_proxy covers the server)",
    )
    group.add_argument(
        "--proxy-password-file",
        metavar="FILE",
        type=Path,
        help="file whose first line is the password of the user in --proxy (default: ask)",
    )
    group.add_argument(
        "--proxy-ca",
        metavar="FILE",
        type=Path,
        help="trust only these authorities for an https:// proxy (default: the system's)",
    )


def _add_tls(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="trust only the authorities in this PEM file (default: the system's)",
    )
    group.add_argument(
        "--no-verify",
        action="store_true",
        help="accept any certificate: anybody in between can then read and change everything",
    )
    group.add_argument("--crt", metavar="FILE", type=Path, help="own certificate, PEM")
    group.add_argument(
        "--key", metavar="FILE", type=Path, help="its key, PEM (default: in the --crt file)"
    )
    group.add_argument(
        "--key-password-file",
        metavar="FILE",
        type=Path,
        help="file whose first line is the password of an encrypted key (default: ask)",
    )
    group.add_argument(
        "--sni",
        metavar="NAME",
        help="ask for the server of this name by TLS, and expect it in the certificate (default:"
        " the host in URL)",
    )


def read_urls(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ServerUrl, ...]:
    """Return the servers, each with the proxy on the way there. Raises ConfigError.

    May ask for the password of a proxy at the terminal.
    """
    if len(options.url) > MAX_SERVERS:
        raise ConfigError(f"there are {len(options.url)} URLs; at most {MAX_SERVERS} are tried")
    if "via" in (options.tap, *options.url):
        raise ConfigError(
            "a route by a gateway is one word: put it in quotes, like"
            " --route '10.9.0.0/16 via 10.8.0.1'"
        )
    urls = [parse_url(text) for text in options.url]
    if options.proxy is None:
        if options.proxy_password_file is not None:
            raise ConfigError("--proxy-password-file needs --proxy, with the user in its URL")
        chosen = [(url, choose(url, environ)) for url in urls]
    else:
        proxy = _read_proxy(options)
        chosen = [(url, proxy) for url in urls]
    _check_proxy_ca(options, [proxy for _, proxy in chosen if proxy is not None])
    return tuple(
        replace(url, proxy=replace(proxy, authority=options.proxy_ca) if proxy else None)
        for url, proxy in chosen
    )


def _read_proxy(options: argparse.Namespace) -> Proxy | None:
    """Return what --proxy says, with the password of its user."""
    file = options.proxy_password_file
    if options.proxy == NO_PROXY:
        if file is not None:
            raise ConfigError("--proxy none has no password: leave --proxy-password-file out")
        return None
    proxy, lacks_password = parse_proxy(options.proxy, "--proxy")
    if file is not None and not lacks_password:
        raise ConfigError(
            "--proxy-password-file is for a user in --proxy who has no password there, as in"
            " http://USER@HOST:PORT"
        )
    if not lacks_password or proxy.login is None:
        return proxy
    user = proxy.login[0]
    if file is None:
        password = ask_password(f"{user} at {proxy.named}", "--proxy-password-file")
    else:
        password = read_secret("--proxy-password-file", file)
    return replace(proxy, login=(user, password))


def _check_proxy_ca(options: argparse.Namespace, proxies: Sequence[Proxy]) -> None:
    speaks_tls = any(proxy.scheme is ProxyScheme.HTTPS for proxy in proxies)
    if options.proxy_ca is not None and not speaks_tls:
        raise ConfigError("--proxy-ca is for a proxy that speaks TLS, one with https:// in its URL")


def read_tls(options: argparse.Namespace, urls: Sequence[ServerUrl]) -> TlsSettings:
    """Return how to speak TLS to the servers at `urls`. Raises ConfigError."""
    if options.key is not None and options.crt is None:
        raise ConfigError("--key needs --crt, the certificate that the key belongs to")
    if options.key_password_file is not None and options.crt is None:
        raise ConfigError("--key-password-file needs --crt, and --key unless the key is in there")
    tls = TlsSettings(
        verify=not options.no_verify,
        authority=options.ca,
        certificate=options.crt,
        key=options.key,
        key_password=options.key_password_file,
        server_name=_read_name(options.sni),
    )
    if tls != TlsSettings() and not all(url.secure for url in urls):
        raise ConfigError(
            "--ca, --crt, --key, --sni and --no-verify are for TLS: use wss:// in the URL"
        )
    return tls


def _read_name(text: str | None) -> str:
    """Return what --sni says, in ASCII; empty for nothing."""
    if text is None:
        return ""
    try:
        name = text.encode("idna").decode()
    except UnicodeError as error:
        raise ConfigError(f"--sni {text!r} is not a proper name") from error
    if not name or ":" in name or "/" in name:
        raise ConfigError(f"--sni {text!r} is not a host's name, like vpn.example.org")
    return name
