"""Options of the way to the server: TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError
from vpnws.https.tls import TlsSettings

if TYPE_CHECKING:
    import argparse

    from vpnws.client.settings import ServerUrl

TITLE: Final = "TLS (wss)"


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
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


def read_tls(options: argparse.Namespace, url: ServerUrl) -> TlsSettings:
    """Return how to speak TLS to the server at `url`. Raises ConfigError."""
    if options.key is not None and options.crt is None:
        raise ConfigError("--key needs --crt, the certificate that the key belongs to")
    tls = TlsSettings(not options.no_verify, options.ca, options.crt, options.key)
    if not url.secure and tls != TlsSettings():
        raise ConfigError("--ca, --crt, --key and --no-verify are for TLS: use wss:// in the URL")
    return tls
