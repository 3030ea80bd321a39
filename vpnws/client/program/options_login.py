"""Options of who the station logs in as, and of what else the request says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.program.login import read_token
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vpnws.client.settings import ServerUrl

TITLE: Final = "who you are"
_TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS: Final = re.compile(
    r"upgrade|connection|sec-websocket-.*|x-vpn-ws-(mac|bridge)", re.IGNORECASE
)


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    group.add_argument("--user", metavar="NAME", help="log in as this user")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        help="file whose first line is the password of --user (default: ask)",
    )
    group.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="log in with the bearer token in the first line of this file, instead of a user",
    )
    group.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this HTTP header too; may be repeated",
    )


def read_headers(
    options: argparse.Namespace, urls: Sequence[ServerUrl]
) -> tuple[tuple[str, str], ...]:
    """Return the headers to send besides the login of `urls`. Raises ConfigError."""
    headers = tuple(read_header(text) for text in options.header)
    ways = {
        "the user and password": any(url.login is not None for url in urls),
        "--token-file": options.token_file is not None,
        "--header Authorization": any(name.lower() == "authorization" for name, _ in headers),
    }
    given = [way for way, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} replace each other: leave one out")
    return headers if options.token_file is None else (read_token(options.token_file), *headers)


def read_header(text: str) -> tuple[str, str]:
    """Return what one --header says. Raises ConfigError."""
    name, colon, value = text.partition(":")
    value = value.strip()
    if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        # The value may be a secret, so only the name is shown.
        raise ConfigError(f"--header {name!r} is not of the form 'Name: value', in plain ASCII")
    if _OWN_HEADERS.fullmatch(name):
        option = name.lower().removeprefix("x-vpn-ws-")
        hint = f": see --{option}" if option in ("mac", "bridge") else ", so it cannot be replaced"
        raise ConfigError(f"--header {name} belongs to the WebSocket handshake{hint}")
    return name, value
