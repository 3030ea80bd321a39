"""TAP devices: the one module that touches /dev/net/tun and interface ioctls."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import pytun

from vpnws.errors import TapBusyError, TapError, TapPermissionError

DEVICE: Final = "/dev/net/tun"
READ_BYTES: Final = 65536
"""One read takes one frame; nothing a TAP gives is longer."""
MAX_NAME_BYTES: Final = 15
"""IFNAMSIZ less its closing zero."""


class Tap:
    """An open TAP device; frames go in and out without packet information (IFF_NO_PI)."""

    def __init__(self, device: pytun.TunTapDevice) -> None:
        self._device = device
        self.fd: int = device.fileno()
        self.name: str = device.name
        os.set_blocking(self.fd, False)
        os.set_inheritable(self.fd, False)

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes."""
        return bytes(self._device.hwaddr)

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises TapError."""
        self._set("hwaddr", mac, "MAC")

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises TapError when the kernel does not take it."""
        self._set("mtu", mtu_bytes, "MTU")

    def up(self) -> None:
        """Bring the device up. Raises TapError."""
        try:
            self._device.up()
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, "bring up") from error

    def read(self) -> bytes:
        """Return the next frame. Raises BlockingIOError when there is none, OSError if gone."""
        return os.read(self.fd, READ_BYTES)

    def write(self, frame: bytes) -> None:
        """Hand one frame to the kernel. Raises BlockingIOError when its queue is full, OSError."""
        os.write(self.fd, frame)

    def close(self) -> None:
        """Close the device; unless it is persistent it goes away with this."""
        self._device.close()

    def _set(self, attribute: str, value: object, what: str) -> None:
        try:
            setattr(self._device, attribute, value)
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, f"set the {what} of") from error


def open_tap(name: str) -> Tap:
    """Open the TAP device `name`, creating it if need be (a `%d` in it is filled by the kernel).

    Raises TapPermissionError without CAP_NET_ADMIN, TapBusyError when another process holds the
    device, TapError for everything else, each with a sentence that says what to do.
    """
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES or "/" in name or name.split() != [name]:
        raise TapError(
            f"{name!r} cannot name a device: use 1 to {MAX_NAME_BYTES} bytes, no spaces, no '/'"
        )
    if not Path(DEVICE).exists():
        raise TapError(f"{DEVICE} does not exist: load the kernel's tun module (modprobe tun)")
    try:
        return Tap(pytun.TunTapDevice(name=name, flags=pytun.IFF_TAP | pytun.IFF_NO_PI))
    except (pytun.Error, OSError) as error:
        raise _explained(error, name, "open") from error


def _explained(error: Exception, name: str, verb: str) -> TapError:
    code = error.args[0] if error.args else None
    if code in (errno.EPERM, errno.EACCES):
        return TapPermissionError(
            f"no permission to {verb} the TAP device {name}: run as root or give the program"
            " CAP_NET_ADMIN"
        )
    if code == errno.EBUSY:
        return TapBusyError(f"the TAP device {name} is in use by another process")
    text = error.args[1] if len(error.args) > 1 else error
    return TapError(f"cannot {verb} the TAP device {name}: {text}")
