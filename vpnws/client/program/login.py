"""Reads who the station logs in as: from the URLs, or from --user, or from --token-file."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError
from vpnws.https.login import ask_password, check_user, read_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vpnws.client.settings import ServerUrl

_TOKEN: Final = re.compile(r"[-A-Za-z0-9._~+/]+=*")
"""What a bearer token may be (RFC 6750 2.1)."""


def with_login(
    urls: Sequence[ServerUrl], user: str | None, password_file: Path | None
) -> tuple[ServerUrl, ...]:
    """Return `urls`, each with the user and the password for it.

    `user` and `password_file` are the options of that name. May ask for the password at the
    terminal. Raises ConfigError.
    """
    if user is None:
        if password_file is not None:
            raise ConfigError("--password-file needs --user, whose password it is")
        return tuple(urls)
    if any(url.user is not None for url in urls):
        raise ConfigError("the URL names a user already: leave that out, or --user")
    check_user(user)
    if password_file is None:
        password = ask_password(user, "--password-file")
    else:
        password = read_secret("--password-file", password_file)
    return tuple(replace(url, user=user, password=password) for url in urls)


def read_token(file: Path) -> tuple[str, str]:
    """Return the header with the token in the first line of `file`. Raises ConfigError."""
    token = read_secret("--token-file", file, "token")
    if _TOKEN.fullmatch(token) is None:
        raise ConfigError(
            f"--token-file {file}: its first line is not a bearer token, which has letters, digits"
            " and -._~+/ only (RFC 6750)"
        )
    return "Authorization", f"Bearer {token}"
