"""User and password for HTTP's Basic scheme: what it can carry, and the file of a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_PASSWORD_FILE_BYTES: Final = 4096
"""A password file with a longer first line is refused."""


def check_user(user: str) -> None:
    """Raise ConfigError when `user` cannot be sent by HTTP's Basic scheme (RFC 7617 section 2)."""
    if not user or ":" in user:
        raise ConfigError("the user's name is empty or has a ':' in it: HTTP cannot carry that")


def read_password(file: Path) -> str:
    """Return the first line of `file`, the one of --password-file. Raises ConfigError."""
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
