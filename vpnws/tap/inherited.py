"""A TAP whose descriptor the parent process has opened: what it is, the kernel is asked."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import TapError
from vpnws.tap import netdevice
from vpnws.tap.contract import DELETED_ERROR
from vpnws.tap.linux import adopt
from vpnws.tap.linux_errors import explained
from vpnws.tap.tun_device import OwnTunDevice
from vpnws.tap.tun_numbers import IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, IFF_VNET_HDR

if TYPE_CHECKING:
    from vpnws.tap.linux_tap import LinuxTap

MIN_FD: Final = 3
"""A lower descriptor is refused: 0 to 2 are standard input, output and error."""
_DEVICES: Final = Path("/sys/class/net")
_KINDS: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "another device"),
)
_HOW: Final = (
    "the parent opens /dev/net/tun, does TUNSETIFF with IFF_TAP | IFF_NO_PI, and lets the client"
    " inherit the descriptor"
)


def open_inherited(fd: int) -> LinuxTap:
    """Return the TAP that the descriptor `fd` has open; it is ours from now on.

    It has virtio headers if the parent asked for them. Raises TapError.
    """
    name, flags = _ask(fd)
    if not flags & IFF_TAP:
        raise TapError(
            f"fd:{fd} is the TUN device {name}, which carries no Ethernet frames: {_HOW}"
        )
    if not _is_without_information(name):
        raise TapError(f"fd:{fd} puts packet information before each frame of {name}: {_HOW}")
    if flags & IFF_MULTI_QUEUE:
        raise TapError(f"fd:{fd} is one of several queues of {name}, so frames would be missing")
    return adopt(OwnTunDevice(fd, name), has_vnet=bool(flags & IFF_VNET_HDR))


def _is_without_information(name: str) -> bool:
    """Return whether the TAP has IFF_NO_PI, as far as can be known: /sys must show the device.

    TUNGETIFF does not tell: it has the same bit for IFF_NOFILTER.
    """
    try:
        return bool(int((_DEVICES / name / "tun_flags").read_text(), 16) & IFF_NO_PI)
    except (OSError, ValueError):
        return True


def _ask(fd: int) -> tuple[str, int]:
    """Return name and flags of the TAP. Raises TapError if `fd` is none."""
    if fd < MIN_FD:
        raise TapError(f"fd:{fd} is not for devices: use a descriptor from {MIN_FD} on; {_HOW}")
    try:
        mode = os.fstat(fd).st_mode
        return netdevice.ask_flags(fd)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise TapError(f"fd:{fd} is not open here: {_HOW} (pass_fds in Python)") from error
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
            what = next((text for is_kind, text in _KINDS if is_kind(mode)), "something else")
            raise TapError(f"fd:{fd} is {what} and no TAP: {_HOW}") from error
        if error.errno == DELETED_ERROR:
            raise TapError(f"fd:{fd} has no device (any more): {_HOW}") from error
        raise explained(error, f"fd:{fd}", "ask for the kind of") from error
