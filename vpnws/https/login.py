"""Secrets of a login: what HTTP's Basic scheme can carry, their files, and asking a person."""

from __future__ import annotations

import getpass
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_SECRET_FILE_BYTES: Final = 4096
"""A file of a password or a token with a longer first line is refused."""


def check_user(user: str) -> None:
    """Raise ConfigError when `user` cannot be sent by HTTP's Basic scheme (RFC 7617 section 2)."""
    if not user or ":" in user:
        raise ConfigError("the user's name is empty or has a ':' in it: HTTP cannot carry that")


def read_secret(option: str, file: Path, what: str = "password") -> str:
    """Return the first line of `file`, the one of `option`. Raises ConfigError.

    `what` it is, for sentences.
    """
    try:
        # Editors on Windows put a byte order mark before the text, which belongs to no password.
        with file.open(encoding="utf-8-sig") as lines:
            line = lines.readline(MAX_SECRET_FILE_BYTES)
    except OSError as error:
        raise ConfigError(f"{option} {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{option} {file} is not UTF-8 text") from error
    secret = line.rstrip("\r\n")
    if not secret:
        raise ConfigError(f"{option} {file}: its first line, the {what}, is empty")
    if len(line) == MAX_SECRET_FILE_BYTES:
        raise ConfigError(f"{option} {file}: its first line is too long for a {what}")
    return secret


def ask_password(whose: str, option: str) -> str:
    """Ask the person at the terminal for the password `whose` it is, and return it.

    Raises ConfigError if there is no terminal, naming the `option` that replaces one, and
    KeyboardInterrupt if a signal ends the question.
    """
    if not sys.stdin.isatty():
        raise ConfigError(
            f"there is no terminal to ask for the password of {whose} at: use {option} FILE"
        )
    try:
        with _interruptible():
            return getpass.getpass(f"password of {whose}: ")
    except EOFError as error:
        raise ConfigError(f"no password of {whose} was given") from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have signals raise KeyboardInterrupt meanwhile.

    A handler that ended the program would leave a terminal that does not show what is typed.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
