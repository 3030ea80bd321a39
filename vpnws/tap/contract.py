"""The contract of a TAP device: what every kind of TAP can do, and how each call may fail."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from vpnws.wire.records import MAX_FRAME_BYTES, VNET_BYTES

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

DEVICE: Final = "/dev/net/tun"
"""What a process opens to have a TAP device."""
READ_BYTES: Final = VNET_BYTES + MAX_FRAME_BYTES
"""One read takes one frame and its virtio header; a TAP gives nothing longer."""
FRAME_ERRORS: Final = (errno.EIO, errno.EINVAL, errno.ENOBUFS, errno.ENOMEM)
"""A write that fails with one of these loses only its frame: the device is down (EIO), or refuses
this frame. The next write may succeed."""
DELETED_ERROR: Final[int] = getattr(errno, "EBADFD", errno.ENXIO)
"""Reads and writes fail with this once the device has been deleted; only Linux has EBADFD."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """How a TAP device is at some moment."""

    name: str
    mac: bytes
    mtu_bytes: int | None = None
    """None if the device is in another network namespace, where this process cannot ask."""
    is_up: bool | None = None
    """Whether somebody has set it up; None as for `mtu_bytes`."""

    @property
    def is_here(self) -> bool:
        """Whether the device is in this process's network namespace."""
        return self.mtu_bytes is not None


def failure(code: int) -> OSError:
    """Return the error that a call of a Tap fails with; for EAGAIN that is a BlockingIOError."""
    return OSError(code, os.strerror(code))


class DeviceEvents(Protocol):
    """Tells that some network devices have changed; how, the device itself says."""

    @property
    def fd(self) -> int:
        """A descriptor that is readable after a change until `drain`; -1 if nothing can tell."""

    def drain(self) -> None:
        """Forget the changes so far."""


class Tap(Protocol):
    """An open TAP device: one end of an Ethernet link whose other end is the machine's kernel.

    The other end may be something else, such as a virtual machine: see `is_interface`.

    Each read and each write is one whole frame, and neither ever waits. If `has_vnet`, a virtio
    header (virtio 1.2, 5.1.6; 10 bytes, little-endian) precedes each frame.
    """

    @property
    def fd(self) -> int:
        """The descriptor to poll; -1 once the device is closed.

        It is readable while a frame is ready. A poller reports a deleted device even if it does not
        wait for any event.
        """

    @property
    def name(self) -> str:
        """The name of the network device, as of the last `state`."""

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes."""

    @property
    def has_vnet(self) -> bool:
        """Whether a virtio header precedes each frame (Linux: IFF_VNET_HDR)."""

    @property
    def is_interface(self) -> bool:
        """Whether this machine has a network interface of it, for addresses, routes, a bridge."""

    def state(self) -> DeviceState:
        """Return how the device is now. Raises TapError if it is gone."""

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises TapError."""

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises TapError if the kernel does not accept it."""

    def up(self) -> None:
        """Bring the device up. Raises TapError."""

    def set_offload(self, on: bool) -> bool:
        """Have the kernel leave segmentation and checksums to us, or complete every frame itself.

        Return whether the kernel now leaves them to us; without `has_vnet` it never does. Frames
        that were queued before the call keep their headers.
        """

    def read(self) -> bytes:
        """Return the next frame, without its virtio header.

        Use `read_into` while offload is on. Raises as `read_into` does.
        """

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame into `buffer`, its virtio header first if `has_vnet`.

        Return how many bytes were read. A frame that is longer than `buffer` is cut off; none is
        longer than READ_BYTES. Raises BlockingIOError when no frame is ready, OSError when the
        device failed.
        """

    def write(self, frame: Buffer) -> None:
        """Hand one complete frame to the kernel, without a virtio header.

        Raises BlockingIOError when the kernel's queue is full, OSError with one of FRAME_ERRORS
        when only this frame is lost, any other OSError when the device failed.
        """

    def write_record(self, vnet_and_frame: Buffer) -> None:
        """Hand one frame and the virtio header before it to the kernel; only with `has_vnet`.

        Raises as `write` does, with EINVAL also for a header that is not true of its frame.
        """

    def close(self) -> None:
        """Close the device; closing it again does nothing. A persistent device stays."""
