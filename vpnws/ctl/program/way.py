"""From the options to the way to the server: its socket, or a URL with a login and TLS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vpnws.ctl.reach.places import VARIABLE, find_socket, told_place
from vpnws.ctl.reach.unix import UnixWay, local_user
from vpnws.ctl.reach.url import UrlWay, parse_url
from vpnws.errors import ConfigError
from vpnws.https import tls
from vpnws.https.login import ask_password, check_user, read_secret

if TYPE_CHECKING:
    import argparse

    from vpnws.ctl.reach.request import Way


def make_way(options: argparse.Namespace) -> Way:
    """Return the way that `options` and the environment choose. Raises ConfigError, ConnectError.

    May ask for a password at the terminal.
    """
    path, url = options.socket or "", options.url or ""
    if path and url:
        raise ConfigError("--socket and --url exclude each other: which server is meant?")
    if not path and not url:
        path, url = told_place(os.environ)
    if url:
        return _url_way(options, url)
    _refuse_url_options(options)
    return UnixWay(Path(path) if path else find_socket(), local_user())


def _url_way(options: argparse.Namespace, text: str) -> UrlWay:
    url = parse_url(text)
    settings = tls.TlsSettings(
        authority=options.ca,
        certificate=options.crt,
        key=options.key,
        key_password=options.key_password_file,
    )
    if not url.secure and settings != tls.TlsSettings():
        raise ConfigError("--ca, --crt and --key are for TLS: use https:// in the URL")
    if options.crt is None and (options.key is not None or options.key_password_file is not None):
        raise ConfigError("--key needs --crt, the certificate that the key belongs to")
    context = tls.make_context(settings) if url.secure else None
    return UrlWay(url, _login(options), options.ca, context)


def _login(options: argparse.Namespace) -> tuple[str, str] | None:
    if options.user is None:
        if options.password_file is not None:
            raise ConfigError("--password-file needs --user, whose password it is")
        return None
    check_user(options.user)
    if options.password_file is not None:
        return options.user, read_secret("--password-file", options.password_file)
    return options.user, ask_password(options.user, "--password-file")


def _refuse_url_options(options: argparse.Namespace) -> None:
    """Refuse options that a socket has no use for: somebody means another server."""
    for name in ("user", "password_file", "ca", "crt", "key", "key_password_file"):
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} is for --url (or a URL in {VARIABLE}): add the URL")
