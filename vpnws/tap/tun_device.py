"""An open device of Linux's TUN/TAP driver: by python-pytun where it is installed, else our own."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from vpnws.tap.contract import DEVICE
from vpnws.tap.netdevice import IFF_UP, flags_of, name_in
from vpnws.tap.tun_numbers import TUNSETIFF, TUNSETPERSIST

if TYPE_CHECKING:
    from collections.abc import Callable

_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFMTU: Final = 0x8922
_SIOCSIFHWADDR: Final = 0x8924
_ARPHRD_ETHER: Final = 1
_FLAGS: Final = struct.Struct("=16sH22x")
_MTU: Final = struct.Struct("=16si20x")
_MAC: Final = struct.Struct("=16sH6s16x")
"""A struct ifreq (netdevice(7)) with flags, with an MTU, and with a struct sockaddr."""


class TunDevice(Protocol):
    """What a TAP needs of the driver. Every method raises OSError with the kernel's errno."""

    @property
    def name(self) -> str:
        """The name that the device got when it was opened."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def up(self) -> None:
        """Set the device up."""

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`."""

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU."""

    def persist(self, flag: bool, /) -> None:
        """Have the device outlive its descriptors, or not."""

    def close(self) -> None:
        """Close the descriptor; closing it again does nothing."""


class OwnTunDevice:
    """A TunDevice by our own ioctls. Settings go to the device of that name in our namespace."""

    def __init__(self, fd: int, name: str) -> None:
        """Take over `fd`, which has the device `name` open."""
        self._fd = fd
        self.name = name

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def up(self) -> None:
        """Set the device up. Raises OSError."""
        flags = flags_of(self.name) | IFF_UP
        _tell(_SIOCSIFFLAGS, _FLAGS.pack(self.name.encode(), flags))

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises OSError."""
        _tell(_SIOCSIFHWADDR, _MAC.pack(self.name.encode(), _ARPHRD_ETHER, mac))

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises OSError."""
        _tell(_SIOCSIFMTU, _MTU.pack(self.name.encode(), mtu_bytes))

    def persist(self, flag: bool, /) -> None:
        """Have the device outlive its descriptors, or not. Raises OSError."""
        fcntl.ioctl(self._fd, TUNSETPERSIST, int(flag))

    def close(self) -> None:
        """Close the descriptor; closing it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _tell(code: int, request: bytes) -> None:
    """Tell the kernel something of a network device. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, code, request)


def open_own(name: str, flags: int) -> OwnTunDevice:
    """Open the device `name`, with `flags` of TUNSETIFF; make it if there is none.

    Raises OSError.
    """
    fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(fd, TUNSETIFF, _FLAGS.pack(name.encode(), flags))
    except OSError:
        os.close(fd)
        raise
    return OwnTunDevice(fd, name_in(answer))


def _best() -> Callable[[str, int], TunDevice]:
    """Return what opens a device on this machine."""
    try:
        from vpnws.tap.pytun_device import PytunDevice
    except ImportError:
        # It is compiled, and a station needs no compiler.
        return open_own
    return PytunDevice


open_tun: Final = _best()
"""Opens a device by name, with flags of TUNSETIFF; makes it if there is none. Raises OSError."""
