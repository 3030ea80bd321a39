"""Reads who the station logs in as: from the URL, or from --user and --password-file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.errors import ConfigError
from vpnws.https.login import check_user, read_password

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.settings import ServerUrl


def read_login(
    user: str | None, password_file: Path | None, url: ServerUrl
) -> tuple[str, str] | None:
    """Return user and password for HTTP's Basic scheme, None if there are none.

    `user` and `password_file` are the options of that name. Raises ConfigError.
    """
    if user is None and password_file is None:
        return None if url.user is None else (url.user, url.password or "")
    if user is None or password_file is None:
        raise ConfigError("--user and --password-file need each other")
    if url.user is not None:
        raise ConfigError("the URL names a user already: leave that out, or --user")
    check_user(user)
    return user, read_password(password_file)
