"""An open TAP device of Linux: its frames and its settings."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from vpnws.tap import netdevice
from vpnws.tap.contract import READ_BYTES, DeviceState
from vpnws.tap.linux_errors import explained
from vpnws.tap.tun_numbers import CHECKSUM_AND_TCP, TUNSETOFFLOAD, TUNSETOWNER, UDP
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.tap.tun_device import TunDevice
    from vpnws.wire.buffer import Buffer


class LinuxTap:
    """An open TAP device of Linux (see the contract), without packet information (IFF_NO_PI)."""

    is_interface: Final = True

    def __init__(self, device: TunDevice, *, has_vnet: bool = False) -> None:
        self._device = device
        self.fd: int = device.fileno()
        self.name: str = device.name
        self.has_vnet = has_vnet
        """Whether a virtio header precedes each frame at the descriptor (IFF_VNET_HDR)."""
        here = netdevice.ask(self.name)
        # An inherited one may be in another namespace, and another one of its name here.
        is_ours = here is not None and here.mac == netdevice.ask_tap(self.fd)[1]
        self._index = here.index if here is not None and is_ours else 0
        os.set_blocking(self.fd, False)
        os.set_inheritable(self.fd, False)

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes. Raises TapError if the device is gone."""
        return self.state().mac

    def state(self) -> DeviceState:
        """Return how the device is now, and note its name. Raises TapError if it is gone."""
        try:
            self.name, mac = netdevice.ask_tap(self.fd)
            found = netdevice.ask(self.name)
        except OSError as error:
            raise explained(error, self.name, "ask for the state of") from error
        # Another device of that name may be here, and ours somewhere else.
        if found is None or found.index != self._index:
            return DeviceState(self.name, mac)
        return DeviceState(self.name, mac, found.mtu_bytes, found.is_up)

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises TapError."""
        # What is so already needs no privileges.
        if self.state().mac != mac:
            self._set(lambda: self._device.set_mac(mac), "MAC")

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises TapError if the kernel does not accept it."""
        if self.state().mtu_bytes != mtu_bytes:
            self._set(lambda: self._device.set_mtu(mtu_bytes), "MTU")

    def up(self) -> None:
        """Bring the device up. Raises TapError."""
        try:
            if not self.state().is_up:
                self._device.up()
        except OSError as error:
            raise explained(error, self.name, "bring up") from error

    def set_owner(self, uid: int) -> None:
        """Let the user `uid` open the device without privileges. Raises TapError."""
        try:
            fcntl.ioctl(self.fd, TUNSETOWNER, uid)
        except OSError as error:
            raise explained(error, self.name, "give away") from error

    def set_persistent(self, persistent: bool) -> None:
        """Have the device stay when its last descriptor is closed, or not. Raises TapError."""
        try:
            self._device.persist(persistent)
        except OSError as error:
            raise explained(error, self.name, "keep") from error

    def set_offload(self, on: bool) -> bool:
        """Have the kernel leave segmentation and checksums to us, or complete every frame itself.

        Return whether the kernel now leaves them to us; without `has_vnet`, or if it cannot, it
        does not. Frames that were queued before the call keep their headers.
        """
        if on and self.has_vnet:
            for features in (CHECKSUM_AND_TCP | UDP, CHECKSUM_AND_TCP):
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
            fcntl.ioctl(self.fd, TUNSETOFFLOAD, features)
        except OSError:
            return False
        return True

    def _set(self, change: Callable[[], None], what: str) -> None:
        try:
            change()
        except OSError as error:
            raise explained(error, self.name, f"set the {what} of") from error
