"""FreeBSD's tap driver, as tap(4) and if_tuntap.c have it: an interface, a device, their ioctls."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from vpnws.tap import bsd

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

MIN_MTU_BYTES, MAX_MTU_BYTES = 46, 65535
WAIT_S = 5.0


class FakeBsdKernel:
    """One tap device and its interface. The device is a socket pair's end: a frame a read."""

    def __init__(self, mac: bytes) -> None:
        self.name = "tap7"
        self.mac = mac
        self.mtu_bytes = 1500
        self.flags = 0x8802
        """Broadcast, simplex, multicast, as the driver makes it; not up."""
        self.has_name_ioctl = True
        self.may_set = True
        device, self.host = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.host.settimeout(WAIT_S)
        self.fd = device.detach()

    def ioctl(self, fd: int, code: int, request: bytes) -> bytes:
        """Answer as the kernel: on the device itself, or on a socket by the interface's name."""
        assert len(request) == bsd.IFREQ.size
        if fd == self.fd:
            return self._of_device(code)
        name, value = bsd.IFREQ.unpack(request)
        if name.rstrip(b"\0").decode() != self.name:
            raise _error(errno.ENXIO)
        return bsd.IFREQ.pack(name, self._of_interface(code, value))

    def read_into(self, fd: int, buffer: memoryview) -> int:
        """Read a frame, as tunread does."""
        self._check(fd)
        return os.readv(fd, (buffer,))

    def write(self, fd: int, frame: Buffer) -> int:
        """Write a frame, as tunwrite does."""
        self._check(fd)
        return os.write(fd, frame)

    def _check(self, fd: int) -> None:
        if fd == self.fd and not self.name:
            raise _error(errno.ENXIO)
        if fd == self.fd and not self.flags & bsd.IFF_UP:
            raise _error(errno.EHOSTDOWN)

    def destroy(self) -> None:
        """Do `ifconfig tap7 destroy`: the interface is gone."""
        self.name = ""
        self.host.close()

    def _of_device(self, code: int) -> bytes:
        if code == bsd.SIOCGIFADDR:
            return self.mac.ljust(bsd.IFREQ.size, b"\0")
        if code == bsd.TAPGIFNAME and self.has_name_ioctl:
            return bsd.IFREQ.pack(self.name.encode(), b"")
        raise _error(errno.ENOTTY)

    def _of_interface(self, code: int, value: bytes) -> bytes:
        if code == bsd.SIOCGIFFLAGS:
            return struct.pack("=H14x", self.flags)
        if code == bsd.SIOCGIFMTU:
            return struct.pack("=i12x", self.mtu_bytes)
        if not self.may_set:
            raise _error(errno.EPERM)
        if code == bsd.SIOCSIFFLAGS:
            (self.flags,) = struct.unpack_from("=H", value)
        elif code == bsd.SIOCSIFMTU:
            (mtu_bytes,) = struct.unpack_from("=i", value)
            if not MIN_MTU_BYTES <= mtu_bytes <= MAX_MTU_BYTES:
                raise _error(errno.EINVAL)
            self.mtu_bytes = mtu_bytes
        elif code == bsd.SIOCSIFLLADDR:
            size, family = value[:2]
            assert (size, family) == (6, 18)
            self.mac = value[2:8]
        else:
            raise _error(errno.ENOTTY)
        return value


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
