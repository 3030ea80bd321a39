"""Makes the server's TAPs before uWSGI drops its privileges: uwsgi.ini runs it as a program.

Its settings come in the environment, as uwsgi.ini saw them. A device that an admin or systemd has
made is used as it is. One that a killed server has left is made anew: vpnws-exec would fail on what
it did there before.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from vpnws.errors import TapError, TapPermissionError, VpnwsError
from vpnws.server import ini, users
from vpnws.server.log import say
from vpnws.server.uplink.hooks import run_hook
from vpnws.tap import linux
from vpnws.tap.linux_errors import commands_to_make
from vpnws.values import parse_taps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from vpnws.server.uplink.devices import TapDevices

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Set up every TAP that the environment names; return an exit code."""
    try:
        with stoppable():
            set_up(os.environ, linux, os.geteuid())
    except VpnwsError as error:
        say(f"cannot start: {error}", ini.log_form(os.environ, {}))
        return 1
    return 0


@contextmanager
def stoppable() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise VpnwsError meanwhile, so that what was made is removed.

    Both come here too when an admin stops a start: by Ctrl-C, or by systemd.
    """

    before = {number: signal.signal(number, _stop) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # A second one must not end the removal.
    for stopping in _STOPPING:
        signal.signal(stopping, signal.SIG_IGN)
    raise VpnwsError(f"stopped by {signal.Signals(number).name} before the TAPs were ready")


def set_up(environment: Mapping[str, str], devices: TapDevices, own_uid: int) -> None:
    """Make the TAPs and, unless this is a reload, run vpnws-exec for each.

    `own_uid` is the user that this program runs as: only root makes devices. If something fails,
    the devices that were made are removed. Raises ConfigError, TapError or HookError.
    """
    is_reload = ini.is_reload(environment)
    uid = users.read_uid(environment)
    commands = ini.seen(environment, "exec") or ""
    taps = parse_taps(ini.seen(environment, "tap") or "")
    if ini.only_checks(environment):
        return
    made: list[str] = []
    try:
        for network, device in taps:
            if own_uid == 0:
                if not is_reload:
                    devices.release(device)
                _make(devices, device, uid, made)
            elif not is_reload:
                _check_usable(devices, device, own_uid)
            if commands and not is_reload:
                mac = devices.read_mac(device)
                run_hook("vpnws-exec", commands, network=network, device=device, mac=mac)
    except VpnwsError:
        for device in made:
            devices.release(device)
        raise


def _make(devices: TapDevices, device: str, uid: int | None, made: list[str]) -> None:
    """Make sure that `device` exists, is up and is `uid`'s; if it is new, add it to `made`."""
    is_new = not devices.exists(device)
    tap = devices.open_tap(device)
    try:
        if is_new:
            # The mark first: if that fails, the device ends with this process.
            devices.mark_as_ours(device)
            tap.set_persistent(True)
            made.append(device)
        if uid is not None:
            tap.set_owner(uid)
        tap.up()
    finally:
        tap.close()


def _check_usable(devices: TapDevices, device: str, own_uid: int) -> None:
    """Check that this process, which is not root, may open `device`; warn if it is down."""
    try:
        devices.open_tap(device).close()
    except TapPermissionError as error:
        user = users.name_of(own_uid)
        commands = commands_to_make(device, user, exists=devices.exists(device))
        raise TapError(f"{error}; or have root make it: {commands}") from error
    if not devices.exists(device):
        raise TapError(f"the TAP device {device} must be made before: only root can keep it")
    if not devices.is_up(device):
        say(
            f"{device} is down: ip link set {device} up, as root",
            ini.log_form(os.environ, {}),
            logging.WARNING,
        )


if __name__ == "__main__":
    sys.exit(main())
