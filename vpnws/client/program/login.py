"""Reads who the station logs in as: from the URL, or from --user and --password-file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.connect.url import check_user
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.settings import ServerUrl

MAX_PASSWORD_FILE_BYTES: Final = 4096
"""A password file with a longer first line is refused."""


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
    return user, _read_password(password_file)


def _read_password(file: Path) -> str:
    try:
        # Editors on Windows put a byte order mark before the text, which belongs to no password.
        with file.open(encoding="utf-8-sig") as lines:
            line = lines.readline(MAX_PASSWORD_FILE_BYTES)
    except OSError as error:
        raise ConfigError(f"--password-file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--password-file {file} is not UTF-8 text") from error
    password = line.rstrip("\r\n")
    if not password:
        raise ConfigError(f"--password-file {file}: its first line, the password, is empty")
    if len(line) == MAX_PASSWORD_FILE_BYTES:
        raise ConfigError(f"--password-file {file}: its first line is too long for a password")
    return password
