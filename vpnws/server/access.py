"""Sees whether the user that uWSGI becomes may read its Python and the project, and open TAPs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError
from vpnws.server import ini, users
from vpnws.tap.contract import DEVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT: Final = Path(__file__).resolve().parents[2]


def check_access(environment: Mapping[str, str]) -> None:
    """See that this process, which has become that user, may do what uWSGI will do as the user.

    Without this, Python in uWSGI ends with a page of paths after the TAPs have been made, and a
    mule that may not open its TAP leaves the server half at work. Raises ConfigError with a remedy.
    """
    check_python()
    check_project()
    if ini.seen(environment, "tap"):
        check_tun()


def check_python() -> None:
    """See that this Python, which is uWSGI's, can be read. Raises ConfigError."""
    # Its standard library, and what is installed for it.
    for place in (os.__file__, sys.prefix):
        if not os.access(place, os.R_OK):
            raise ConfigError(
                f"{_user()} may not read {place}, a part of the server's Python: take the system's"
                " (PYTHON=/usr/bin/python3 make clean .venv/ready)"
            )


def check_project() -> None:
    """See that the project can be read. Raises ConfigError."""
    if not os.access(PROJECT, os.R_OK):
        raise ConfigError(
            f"{_user()} may not read {PROJECT}: put the project where that user may read it, such"
            " as in /opt/vpnws"
        )


def check_tun() -> None:
    """See that TAP devices can be opened. Raises ConfigError."""
    # Where the file is missing, whoever makes the TAPs says so.
    if Path(DEVICE).exists() and not os.access(DEVICE, os.R_OK | os.W_OK):
        raise ConfigError(
            f"{_user()} may not open {DEVICE}, which vpnws-tap needs: let others open it"
            f" (chmod 666 {DEVICE}; Debian's udev does so)"
        )


def _user() -> str:
    return users.name_of(os.geteuid())
