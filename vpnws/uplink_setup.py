"""Makes the server's TAPs before uWSGI drops its privileges: uwsgi.ini runs it as a program.

It is given its settings in the environment, as uwsgi.ini saw them. What is there already, made
by an admin, by systemd or before a reload, is taken as it is.
"""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING, Final

from vpnws.config import parse_taps
from vpnws.errors import TapError, TapPermissionError, VpnwsError
from vpnws.host.hooks import run_hook
from vpnws.host.tap import exists, mark_as_ours, open_tap, read_mac

if TYPE_CHECKING:
    from collections.abc import Mapping

TAP: Final = "VPNWS_INI_TAP"
EXEC: Final = "VPNWS_INI_EXEC"
UID: Final = "VPNWS_INI_UID"
RELOADS: Final = "UWSGI_RELOADS"


def main() -> int:
    """Set up every TAP that the environment names; return an exit code."""
    try:
        set_up(os.environ)
    except VpnwsError as error:
        print(f"vpnws: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def set_up(environment: Mapping[str, str]) -> None:
    """Make the TAPs and run vpnws-exec for each, but not again in a reload.

    Raises ConfigError, TapError or HookError.
    """
    is_reload = environment.get(RELOADS, "0") != "0"
    uid = _uid(environment.get(UID, ""))
    commands = environment.get(EXEC, "")
    for network, device in parse_taps(environment.get(TAP, "")):
        mac = _make(device, uid)
        if commands and not is_reload:
            run_hook("vpnws-exec", commands, network=network, device=device, mac=mac)


def _make(device: str, uid: int | None) -> str:
    """See that `device` is there and up; return its MAC as text."""
    if exists(device) and os.geteuid() != 0:
        return read_mac(device)
    made = not exists(device)
    try:
        tap = open_tap(device)
    except TapPermissionError as error:
        raise TapError(
            f"{error}; or have an admin make it: ip tuntap add {device} mode tap user"
            f" {pwd.getpwuid(os.geteuid()).pw_name}"
        ) from error
    if made:
        tap.set_persistent(True)
        mark_as_ours(device)
    if uid is not None:
        tap.set_owner(uid)
    tap.up()
    tap.close()
    return read_mac(device)


def _uid(text: str) -> int | None:
    """Read uWSGI's uid option: a number or a name; None where it is not set."""
    if not text or text.startswith("%("):
        return None
    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise TapError(f"uid = {text} is no user of this machine") from error


if __name__ == "__main__":
    sys.exit(main())
