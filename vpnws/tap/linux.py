"""TAP devices of Linux: the one module that touches /dev/net/tun and interface ioctls."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytun

from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap.contract import READ_BYTES
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

DEVICE: Final = "/dev/net/tun"
_DEVICES: Final = Path("/sys/class/net")
_OURS: Final = "vpnws"
_TUNSETOWNER: Final = 0x400454CC
_TUNSETOFFLOAD: Final = 0x400454D0
_TUNSETVNETHDRSZ: Final = 0x400454D8
_TUNSETVNETLE: Final = 0x400454DC
_CHECKSUM_AND_TCP: Final = 0x1 | 0x2 | 0x4 | 0x8
"""TUN_F_CSUM, _TSO4, _TSO6 and _TSO_ECN of linux/if_tun.h."""
_UDP: Final = 0x20 | 0x40
"""TUN_F_USO4 and _USO6, which Linux has since 6.2."""
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 1
_TUN: Final = "is a TUN device, which carries no Ethernet frames"
_OTHER_KINDS: Final = (
    (pytun.IFF_TAP | pytun.IFF_MULTI_QUEUE, "was made with several queues (multi_queue)"),
    *((pytun.IFF_TUN, _TUN), (pytun.IFF_TUN | pytun.IFF_MULTI_QUEUE, _TUN)),
)
"""Flags with which a device can be opened that is no TAP of ours, and what it is then."""
MAX_NAME_BYTES: Final = 15
"""A longer device name is refused: IFNAMSIZ without its final zero byte."""


class LinuxTap:
    """An open TAP device of Linux (see the contract), without packet information (IFF_NO_PI)."""

    def __init__(self, device: pytun.TunTapDevice, *, has_vnet: bool = False) -> None:
        self._device = device
        self.fd: int = device.fileno()
        self.name: str = device.name
        self.has_vnet = has_vnet
        """Whether a virtio header precedes each frame at the descriptor (IFF_VNET_HDR)."""
        os.set_blocking(self.fd, False)
        os.set_inheritable(self.fd, False)

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes. Raises TapError if the device is gone."""
        return bytes(self._get("hwaddr", "MAC"))

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises TapError."""
        self._set("hwaddr", mac, "MAC")

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises TapError if the kernel does not accept it."""
        self._set("mtu", mtu_bytes, "MTU")

    def up(self) -> None:
        """Bring the device up. Raises TapError."""
        try:
            if not self._is_up():
                self._device.up()
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, "bring up") from error

    def set_owner(self, uid: int) -> None:
        """Let the user `uid` open the device without privileges. Raises TapError."""
        try:
            fcntl.ioctl(self.fd, _TUNSETOWNER, uid)
        except OSError as error:
            raise _explained(error, self.name, "give away") from error

    def set_persistent(self, persistent: bool) -> None:
        """Have the device stay when its last descriptor is closed, or not. Raises TapError."""
        try:
            self._device.persist(persistent)
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, "keep") from error

    def set_offload(self, on: bool) -> bool:
        """Have the kernel leave segmentation and checksums to us, or complete every frame itself.

        Return whether the kernel now leaves them to us; without `has_vnet`, or if it cannot, it
        does not. Frames that were queued before the call keep their headers.
        """
        if on and self.has_vnet:
            for features in (_CHECKSUM_AND_TCP | _UDP, _CHECKSUM_AND_TCP):
                if self._leaves(features):
                    return True
        self._leaves(0)
        return False

    def read(self) -> bytes:
        """Return the next frame, without its virtio header.

        Use `read_into` while offload is on. Raises as `read_into` does.
        """
        data = os.read(self.fd, READ_BYTES)
        return data[VNET_BYTES:] if self.has_vnet else data

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame into `buffer`, its virtio header first if `has_vnet`.

        Return how many bytes were read; what does not fit is cut off. Raises BlockingIOError when
        no frame is ready, OSError when the device failed.
        """
        return os.readv(self.fd, (buffer,))

    def write(self, frame: Buffer) -> None:
        """Hand one whole frame to the kernel.

        Raises BlockingIOError when its queue is full, OSError.
        """
        if self.has_vnet:
            os.writev(self.fd, (NOTHING_TO_DO, frame))
        else:
            os.write(self.fd, frame)

    def write_record(self, vnet_and_frame: Buffer) -> None:
        """Hand one frame and the virtio header before it to the kernel; only with `has_vnet`.

        Raises as `write` does, with EINVAL also for a header that is not true of its frame.
        """
        os.write(self.fd, vnet_and_frame)

    def close(self) -> None:
        """Close the device; closing it again does nothing. It goes away unless it is persistent."""
        self._device.close()
        # The kernel may reuse the number for another file, which must get no frames.
        self.fd = -1

    def _leaves(self, features: int) -> bool:
        """Ask the kernel to leave `features` to us; return whether it agreed."""
        try:
            fcntl.ioctl(self.fd, _TUNSETOFFLOAD, features)
        except OSError:
            return False
        return True

    def _is_up(self) -> bool:
        """Ask the kernel; /sys may show the devices of another network namespace."""
        request = self.name.encode().ljust(40, b"\0")  # struct ifreq
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
        return bool(int.from_bytes(answer[16:18], sys.byteorder) & _IFF_UP)

    def _get(self, attribute: str, what: str) -> Any:
        try:
            return getattr(self._device, attribute)
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, f"ask for the {what} of") from error

    def _set(self, attribute: str, value: object, what: str) -> None:
        """Set it, unless it is so already: that needs no privileges."""
        if self._get(attribute, what) == value:
            return
        try:
            setattr(self._device, attribute, value)
        except (pytun.Error, OSError) as error:
            raise _explained(error, self.name, f"set the {what} of") from error


def is_device_name(text: str) -> bool:
    """Return whether `text` can name a network device: short enough, no spaces, no '/'."""
    return 0 < len(text.encode()) <= MAX_NAME_BYTES and "/" not in text and text.split() == [text]


def exists(name: str) -> bool:
    """Return whether there is a network device `name`."""
    return (_DEVICES / name).exists()


def read_mac(name: str) -> str:
    """Return the MAC of the network device `name` as text; empty if there is no such device."""
    try:
        return (_DEVICES / name / "address").read_text().strip()
    except OSError:
        return ""


def is_up(name: str) -> bool:
    """Return whether there is a network device `name` and it is administratively up."""
    try:
        return bool(int((_DEVICES / name / "flags").read_text(), 16) & _IFF_UP)
    except OSError:
        return False


def mark_as_ours(name: str) -> None:
    """Mark the device as ours, so that the server may remove it at its end. Raises TapError."""
    try:
        (_DEVICES / name / "ifalias").write_text(_OURS)
    except OSError as error:
        raise _explained(error, name, "mark") from error


def release(name: str) -> None:
    """Have a device of ours go away with its last descriptor; leave any other alone.

    Raises TapError if it is ours and may not be opened.
    """
    try:
        ours = (_DEVICES / name / "ifalias").read_text().strip() == _OURS
    except OSError:
        return
    if ours:
        tap = open_tap(name, create=False)
        tap.set_persistent(False)
        tap.close()


def open_tap(name: str, *, create: bool = True, offload: bool = False) -> LinuxTap:
    """Open the TAP device `name`, and create it if there is none.

    The kernel replaces a `%d` in the name by a number. Without `create` the device must exist. With
    `offload` each frame has a virtio header (`has_vnet`), and `set_offload` can turn offload on,
    which is off at first.

    Raises TapPermissionError without CAP_NET_ADMIN, TapBusyError when another process holds the
    device, TapError for everything else, each with a sentence that says what to do.
    """
    if not is_device_name(name):
        raise TapError(
            f"{name!r} cannot name a device: use 1 to {MAX_NAME_BYTES} bytes, no spaces, no '/'"
        )
    if not Path(DEVICE).exists():
        raise TapError(f"{DEVICE} does not exist: load the kernel's tun module (modprobe tun)")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        raise TapPermissionError(
            f"no permission to open {DEVICE}, which every TAP device needs: run as root, or"
            f" let others open it (chmod 666 {DEVICE}; Debian's udev does so) and give them"
            " CAP_NET_ADMIN or a device of their own"
        )
    if not create and not exists(name):
        raise TapError(f"there is no TAP device {name}: make it (ip tuntap add {name} mode tap)")
    flags = pytun.IFF_TAP | pytun.IFF_NO_PI | (pytun.IFF_VNET_HDR if offload else 0)
    try:
        tap = LinuxTap(pytun.TunTapDevice(name=name, flags=flags), has_vnet=offload)
        if offload:
            _agree_on_header(tap.fd)
    except (pytun.Error, OSError) as error:
        if error.args[0] == errno.EINVAL and (kind := _other_kind(name)):
            raise TapError(f"the device {name} {kind}") from error
        raise _explained(error, name, "open") from error
    # A persistent device may still be as another program left it.
    tap.set_offload(on=False)
    return tap


def _other_kind(name: str) -> str:
    """Return what the device `name` is that is no TAP, and what to do; empty if it may be one.

    The kernel refuses flags of another kind with EINVAL before it looks at anything else.
    """
    if name not in (there for _, there in socket.if_nameindex()):
        return ""
    for flags, what in _OTHER_KINDS:
        try:
            pytun.TunTapDevice(name=name, flags=flags | pytun.IFF_NO_PI).close()
        except (pytun.Error, OSError) as error:
            if error.args[0] == errno.EINVAL:
                continue
        return f"{what}: delete it (ip link delete {name}), or name another"
    return "exists already and is no TAP: name another, such as tap0"


def _agree_on_header(fd: int) -> None:
    """Have virtio headers of 10 bytes, little-endian on every machine. Raises OSError."""
    fcntl.ioctl(fd, _TUNSETVNETHDRSZ, VNET_BYTES.to_bytes(4, sys.byteorder))
    fcntl.ioctl(fd, _TUNSETVNETLE, (1).to_bytes(4, sys.byteorder))


def _explained(error: Exception, name: str, verb: str) -> TapError:
    code = error.args[0] if error.args else None
    if code in (errno.EPERM, errno.EACCES):
        return TapPermissionError(
            f"no permission to {verb} the TAP device {name}: run as root or give the program"
            " CAP_NET_ADMIN"
        )
    if code == errno.ENODEV:
        return TapError(
            f"the TAP device {name} is gone: it was deleted, renamed or moved to another network"
            " namespace"
        )
    if code == errno.EBUSY:
        return TapBusyError(f"the TAP device {name} is in use by another process")
    text = error.args[1] if len(error.args) > 1 else error
    return TapError(f"cannot {verb} the TAP device {name}: {text}")
