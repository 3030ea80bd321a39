"""Whether /dev/net/tun can be opened here; if not, what to do, with a container's exact lines."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import TapError, TapPermissionError
from vpnws.tap.contract import DEVICE

if TYPE_CHECKING:
    from collections.abc import Callable

_LOAD: Final = "load the kernel's tun module (modprobe tun)"
_IN_A_CONTAINER: Final = (
    f"a container must be given it: with Docker or Podman, docker run --device {DEVICE} --cap-add"
    f" NET_ADMIN; with LXC, lxc.mount.entry = {DEVICE} dev/net/tun none bind,create=file 0 0 and"
    " lxc.{cgroup}.devices.allow = c 10:200 rwm"
)
"""docker-run(1) and lxc.container.conf(5)."""
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH
_NO_DRIVER: Final = (errno.ENODEV, errno.ENXIO)


def check_driver(
    device: Path = Path(DEVICE), may_open: Callable[[Path], bool] | None = None
) -> None:
    """Return if `device` can be opened.

    `may_open` asks the kernel, without opening. Raises TapPermissionError, TapError.
    """
    try:
        mode = device.stat().st_mode
    except OSError as error:
        raise TapError(f"{device} does not exist: {_LOAD}; {in_a_container()}") from error
    if not stat.S_ISCHR(mode):
        raise TapError(f"{device} is no device of the kernel: {_LOAD}; {in_a_container()}")
    if (may_open or _may_open)(device):
        return
    if mode & _OTHERS == _OTHERS or os.geteuid() == 0:
        # Its mode allows it, so what forbids it is the container's list of devices.
        raise TapPermissionError(f"the container does not allow {device}: {in_a_container()}")
    raise TapPermissionError(
        f"no permission to open {device}, which every TAP device needs: run as root, or"
        f" let others open it (chmod 666 {device}; Debian's udev does so) and give them"
        " CAP_NET_ADMIN or a device of their own"
    )


def in_a_container(cgroups: Path = _OWN_CGROUPS) -> str:
    """Return how a container is given the device; LXC has a key for each version of cgroups.

    `cgroups` is the kernel's list of those that we are in (cgroups(7)).
    """
    try:
        is_first_version = ":devices:" in cgroups.read_text()
    except OSError:
        is_first_version = False
    return _IN_A_CONTAINER.replace("{cgroup}", "cgroup" if is_first_version else "cgroup2")


def explain_missing(error: OSError) -> TapError | None:
    """Return what to raise when the driver itself is missing; None if `error` is another one."""
    if error.errno in _NO_DRIVER:
        return TapError(f"this kernel has no TAP devices: {_LOAD}, on the host of a container")
    return None


def _may_open(device: Path) -> bool:
    return os.access(device, os.R_OK | os.W_OK)
