"""A TAP of FreeBSD, or of macOS with a tap kext: a device /dev/tapN whose interface is tapN.

It was written after tap(4) and FreeBSD's if_tuntap.c, and has been run with a stand-in for that
kernel only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from struct import Struct
from typing import TYPE_CHECKING, Final, Protocol

from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap.contract import DELETED_ERROR, READ_BYTES, DeviceState, failure
from vpnws.wire.ethernet import HEADER_BYTES, MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.wire.buffer import Buffer

PATH: Final = re.compile("/dev/(tap[0-9]{1,5})")
IFREQ: Final = Struct("=16s16s")
TAPGIFNAME: Final = 0x4020745D
SIOCGIFADDR: Final = 0xC0206921
SIOCGIFFLAGS: Final = 0xC0206911
SIOCSIFFLAGS: Final = 0x80206910
SIOCGIFMTU: Final = 0xC0206933
SIOCSIFMTU: Final = 0x80206934
SIOCSIFLLADDR: Final = 0x8020693C
"""ioctls with a struct ifreq of 32 bytes; the same numbers in both systems' sys/sockio.h."""
IFF_UP: Final = 1
_FLAGS: Final = Struct("=H14x")
_MTU: Final = Struct("=i12x")
_LINK_ADDRESS: Final = Struct("=BB6s8x")
_AF_LINK: Final = 18
_GONE: Final = (errno.ENXIO, errno.ENODEV)


class Kernel(Protocol):
    """The system calls by which a TAP is used; each raises OSError."""

    def ioctl(self, fd: int, code: int, request: bytes) -> bytes:
        """Ask for something of a device or an interface, or set it; return the answer."""

    def read_into(self, fd: int, buffer: memoryview) -> int:
        """Read one frame; return its length."""

    def write(self, fd: int, frame: Buffer) -> int:
        """Write one frame."""


class OwnKernel:
    """That of this machine."""

    def ioctl(self, fd: int, code: int, request: bytes) -> bytes:
        """Ask for something of a device or an interface, or set it; return the answer."""
        return fcntl.ioctl(fd, code, request)

    def read_into(self, fd: int, buffer: memoryview) -> int:
        """Read one frame; return its length."""
        return os.readv(fd, (buffer,))

    def write(self, fd: int, frame: Buffer) -> int:
        """Write one frame."""
        return os.write(fd, frame)


class BsdTap:
    """A Tap (see the contract) of FreeBSD or macOS; no virtio header precedes a frame."""

    has_vnet: Final = False
    is_interface: Final = True

    def __init__(self, fd: int, path: str, kernel: Kernel | None = None) -> None:
        """Take over `fd`, which has `path` open. Raises TapError."""
        self.fd = fd
        self.name = path.rpartition("/")[2]
        self._kernel = kernel or OwnKernel()
        os.set_blocking(fd, False)
        self._mac = self._told(lambda: self._kernel.ioctl(fd, SIOCGIFADDR, bytes(IFREQ.size)))[
            :MAC_BYTES
        ]
        self.name = self._real_name()

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes."""
        return self._mac

    def state(self) -> DeviceState:
        """Return how the device is now. Raises TapError if it is gone."""
        (mtu_bytes,) = _MTU.unpack(self._interface(SIOCGIFMTU))
        return DeviceState(self.name, self._mac, mtu_bytes, bool(self._flags() & IFF_UP))

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises TapError."""
        if mac != self._mac:
            self._interface(SIOCSIFLLADDR, _LINK_ADDRESS.pack(MAC_BYTES, _AF_LINK, mac))
            # The driver tells its own copy, which it takes when it is opened.
            self._mac = mac

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises TapError if the kernel does not accept it."""
        if self.state().mtu_bytes != mtu_bytes:
            self._interface(SIOCSIFMTU, _MTU.pack(mtu_bytes))

    def up(self) -> None:
        """Bring the device up. Raises TapError."""
        if not (flags := self._flags()) & IFF_UP:
            self._interface(SIOCSIFFLAGS, _FLAGS.pack(flags | IFF_UP))

    def set_offload(self, on: bool) -> bool:
        """Return False: this kernel completes every frame itself."""
        return on and self.has_vnet

    def read(self) -> bytes:
        """Return the next frame; raises as `read_into` does."""
        buffer = memoryview(bytearray(READ_BYTES))
        return bytes(buffer[: self.read_into(buffer)])

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame into `buffer`; returns and raises as the contract says."""
        try:
            return self._kernel.read_into(self.fd, buffer)
        except OSError as error:
            # A device that is down has no frames here; on Linux it says just that.
            raise _as_linux(error, down=errno.EAGAIN) from error

    def write(self, frame: Buffer) -> None:
        """Hand one complete frame to the kernel; raises as the contract says."""
        if len(frame) < HEADER_BYTES:
            # This kernel would drop it without a word.
            raise failure(errno.EINVAL)
        try:
            self._kernel.write(self.fd, frame)
        except OSError as error:
            raise _as_linux(error, down=errno.EIO) from error

    def write_record(self, vnet_and_frame: Buffer) -> None:  # noqa: ARG002
        """Refuse: only a Tap with `has_vnet` takes records. Raises OSError."""
        raise failure(errno.EINVAL)

    def close(self) -> None:
        """Close the device; closing it again does nothing. The interface stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _flags(self) -> int:
        return int(_FLAGS.unpack(self._interface(SIOCGIFFLAGS))[0])

    def _interface(self, code: int, value: bytes = bytes(16)) -> bytes:
        """Ask for something of the interface, or set it; return the second half of the answer."""
        request = IFREQ.pack(self.name.encode(), value)

        def ask() -> bytes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                return self._kernel.ioctl(sock.fileno(), code, request)

        return self._told(ask)[16:]

    def _real_name(self) -> str:
        """Return the interface's name: FreeBSD lets it be renamed, and macOS has no such ioctl."""
        try:
            answer = self._kernel.ioctl(self.fd, TAPGIFNAME, bytes(IFREQ.size))
        except OSError:
            return self.name
        return answer[:16].partition(b"\0")[0].decode(errors="replace")

    def _told(self, ask: Callable[[], bytes]) -> bytes:
        try:
            return ask()
        except OSError as error:
            raise _explained(error, self.name) from error


def open_bsd(path: str, kernel: Kernel | None = None) -> BsdTap:
    """Open the device `path`, such as /dev/tap0. Raises TapError with a sentence."""
    match = PATH.fullmatch(path)
    if match is None:
        raise TapError(f"{path} is no TAP device: name one such as /dev/tap0")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, match[1]) from error
    try:
        return BsdTap(fd, path, kernel)
    except TapError:
        os.close(fd)
        raise


def _as_linux(error: OSError, *, down: int) -> OSError:
    """Return `error` as the contract has it; `down` is the errno for a device that is down."""
    if error.errno == errno.EHOSTDOWN:
        return failure(down)
    if error.errno in _GONE:
        return failure(DELETED_ERROR)
    return error


def _explained(error: OSError, name: str) -> TapError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return TapPermissionError(
            f"no permission to use /dev/{name} and its interface: run as root (FreeBSD:"
            " sysctl net.link.tap.user_open=1 lets the device's owner open it)"
        )
    if error.errno == errno.EBUSY:
        return TapBusyError(f"the TAP device {name} is in use by another process")
    if error.errno == errno.ENOENT:
        return TapError(
            f"there is no /dev/{name}: make it (FreeBSD: kldload if_tuntap; ifconfig {name} create;"
            " macOS: install a tap kext)"
        )
    if error.errno in _GONE:
        return TapError(f"the TAP device {name} was deleted")
    return TapError(f"cannot use the TAP device {name}: {error.strerror}")
