"""Removes the TAPs of a start that uWSGI has given up: uwsgi.ini runs it as a program.

uWSGI may end after the TAPs have been made and before the application is loaded, because of an
option of the admin's for example.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from vpnws.errors import VpnwsError
from vpnws.server import ini
from vpnws.server.log import say
from vpnws.tap import linux
from vpnws.values import parse_taps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.server.uplink.devices import TapDevices


def main() -> int:
    """Remove the TAPs that the environment names; return an exit code."""
    try:
        undo(os.environ, linux)
    except VpnwsError as error:
        say(f"a TAP of this start is left: {error}", ini.log_form(os.environ, {}))
        return 1
    return 0


def undo(environment: Mapping[str, str], devices: TapDevices) -> None:
    """Remove each TAP that we made, unless the server has started or is only checked.

    Raises ConfigError or TapError.
    """
    if ini.has_started(environment) or ini.only_checks(environment):
        return
    for _, device in parse_taps(ini.seen(environment, "tap") or ""):
        devices.release(device)


if __name__ == "__main__":
    sys.exit(main())
