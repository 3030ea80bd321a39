"""Where the switch's socket usually is, and which server a command means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import vpnws
from vpnws.errors import ConfigError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE: Final = "VPNWS_CTL"
"""The environment variable that names a server: the path of a socket, or a URL."""
RUN_DIRECTORY: Final = Path("/run/vpnws")
"""Where deploy/vpnws.ini puts the socket."""
PROJECT: Final = Path(vpnws.__file__).parents[1]
"""Where uwsgi.ini is, which by default puts the socket beside itself."""


def told_place(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the socket and the URL that `environment` names; empty where it names none."""
    place = environment.get(VARIABLE, "")
    return ("", place) if "://" in place else (place, "")


def find_socket(directory: Path = RUN_DIRECTORY, project: Path = PROJECT) -> Path:
    """Return the one socket in the usual places.

    Raises ConnectError if there is none, ConfigError if there are several.
    """
    found = [*_sockets(directory), *_sockets(project)]
    if not found and directory.exists() and not _may_list(directory):
        # The usual name leads to the sentence about permission.
        return directory / "vpnws.sock"
    if len(found) > 1:
        raise ConfigError(f"there are several switches: choose one, {_choices(found)}")
    if not found:
        raise ConnectError(
            f"no switch found: there is no socket in {directory} or {project}; is it running"
            " (systemctl status vpnws)? --socket names another place, --url a server elsewhere"
        )
    return found[0]


def _sockets(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*.sock") if path.is_socket())


def _may_list(directory: Path) -> bool:
    return os.access(directory, os.R_OK | os.X_OK, effective_ids=True)


def _choices(found: Sequence[Path]) -> str:
    return " or ".join(f"--socket {path}" for path in found)
