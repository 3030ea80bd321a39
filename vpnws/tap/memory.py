"""A TAP in memory, for tests and tools: it keeps the contract without a kernel and without root.

Theory of operation. Two bounded queues take the place of the kernel's: frames that the host sends,
and frames that the program wrote. While a frame is ready, one byte is in a socket pair, so the
descriptor polls like a real one. Deleting the device closes the far end, which every poller
reports. With a lock, the host's side may be in another thread.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from vpnws.errors import TapError
from vpnws.tap.contract import DELETED_ERROR, DeviceState, failure
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import GSO_ECN, GSO_NONE, NEEDS_CSUM, VNET, plain_frames
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer

DEFAULT_MAC: Final = bytes.fromhex("02000000000a")
MAX_QUEUE_FRAMES: Final = 512
"""Frames that a TAP in memory holds each way, unless it is made with another bound. When it is
full it drops what the host sends, and refuses what is written."""
MAX_CHANGES: Final = 4096
"""Changes of a TAP in memory that one `drain` forgets."""
_CHECKSUM_BYTES: Final = 2


class MemoryEvents:
    """DeviceEvents of a device in memory."""

    def __init__(self) -> None:
        """Nothing has changed yet."""
        self._near, self._far = socket.socketpair()
        for end in (self._near, self._far):
            end.setblocking(False)
        self.fd = self._near.fileno()

    def drain(self) -> None:
        """Forget the changes so far."""
        with contextlib.suppress(BlockingIOError):
            self._near.recv(MAX_CHANGES)

    def tell(self) -> None:
        """Tell of a change."""
        with contextlib.suppress(BlockingIOError):
            self._far.send(b"\0")

    def close(self) -> None:
        """Close the descriptors."""
        self._near.close()
        self._far.close()


class MemoryTap:
    """A Tap. Its methods named `host_...` play the machine's kernel and programs."""

    is_interface: Final = True

    def __init__(
        self,
        name: str = "tap0",
        *,
        mac: bytes = DEFAULT_MAC,
        has_vnet: bool = False,
        can_offload: bool = True,
        queue_frames: int = MAX_QUEUE_FRAMES,
    ) -> None:
        """Make the device, which is down. Without `can_offload` every frame comes complete."""
        self.name = name
        self.mac = mac
        self.mtu_bytes = 1500
        self.has_vnet = has_vnet
        self.is_up = False
        self.is_here = True
        self.is_deleted = False
        self.events = MemoryEvents()
        """Tells of what `host_change` and `host_delete` do."""
        self.host_dropped_frames = 0
        """Frames that the host sent and that were lost: the device was down, or its queue full."""
        self._can_offload = can_offload
        self._offloads = False
        self._queue_frames = queue_frames
        self._to_read: deque[bytes] = deque()
        self._written: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._read_error = self._write_error = 0
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)

    @property
    def fd(self) -> int:
        """The descriptor to poll; -1 once the device is closed."""
        return self._near.fileno()

    def state(self) -> DeviceState:
        """Return how the device is now. Raises TapError if it is gone."""
        if self.is_deleted:
            raise TapError(f"the TAP device {self.name} was deleted")
        if not self.is_here:
            return DeviceState(self.name, self.mac)
        return DeviceState(self.name, self.mac, self.mtu_bytes, self.is_up)

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`."""
        self.mac = mac

    def set_mtu(self, mtu_bytes: int) -> None:
        """Note the device's MTU."""
        self.mtu_bytes = mtu_bytes

    def up(self) -> None:
        """Bring the device up."""
        self.is_up = True

    def set_offload(self, on: bool) -> bool:
        """Turn offload on or off; return whether it is on, as the contract says."""
        self._offloads = on and self.has_vnet and self._can_offload
        return self._offloads

    def read(self) -> bytes:
        """Return the next frame, without its virtio header; raises as the contract says."""
        data = self._next()
        return data[VNET_BYTES:] if self.has_vnet else data

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame into `buffer`; returns and raises as the contract says."""
        data = self._next()[: len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def write(self, frame: Buffer) -> None:
        """Hand one complete frame to the host; raises as the contract says."""
        self._write(NOTHING_TO_DO + bytes(frame))

    def write_record(self, vnet_and_frame: Buffer) -> None:
        """Hand one frame and its virtio header to the host; raises as the contract says."""
        if not self.has_vnet:
            raise ValueError(f"{self.name} has no virtio headers")
        self._write(bytes(vnet_and_frame))

    def close(self) -> None:
        """Close the device; closing it again does nothing."""
        self._near.close()
        self._far.close()
        self.events.close()

    def host_send(self, frame: bytes, vnet: bytes = NOTHING_TO_DO) -> bool:
        """Send `frame` out through the device, as a program on the host would.

        `vnet` says what work is left to do. While offload is off the device does it, so `vnet` must
        be true of the frame (offload.is_sound). Return whether everything was queued; frames that
        were not are lost and counted.
        """
        frames = [(vnet, frame)]
        if vnet != NOTHING_TO_DO and not self._offloads:
            frames = [(NOTHING_TO_DO, packet) for packet in plain_frames(vnet, frame)]
        queued = [self._queue(*record) for record in frames]
        return all(queued)

    def host_receive(self, timeout_s: float = 0.0) -> bytes:
        """Return the next frame that was written, its virtio header first if `has_vnet`.

        Raises TimeoutError when none was written within `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._written, timeout_s):
                raise TimeoutError(f"nothing was written to {self.name}")
            data = self._written.popleft()
        return data if self.has_vnet else data[VNET_BYTES:]

    def host_down(self) -> None:
        """Take the device down: writes fail with EIO, and what the host sends is lost."""
        self.host_change(is_up=False)

    def host_change(self, **facts: object) -> None:
        """Change attributes of the device, such as its `mtu_bytes`, and tell of it.

        With `is_here=False` it is moved to another network namespace.
        """
        for name, value in facts.items():
            setattr(self, name, value)
        self.events.tell()

    def host_fail_reads(self, code: int) -> None:
        """Make every read fail with the errno `code`, until 0 is set; the device polls readable."""
        with self._changed:
            was_ready = self._is_ready()
            self._read_error = code
            self._show_ready(was_ready)

    def host_fail_writes(self, code: int) -> None:
        """Make every write fail with the errno `code`, until 0 is set; EAGAIN is a full queue."""
        self._write_error = code

    def host_delete(self) -> None:
        """Delete the device while it is open: reads and writes fail with DELETED_ERROR."""
        with self._changed:
            self._read_error = self._write_error = DELETED_ERROR
            self._far.close()
        self.host_change(is_deleted=True)

    def _queue(self, vnet: bytes, frame: bytes) -> bool:
        with self._changed:
            if not self.is_up or len(self._to_read) >= self._queue_frames:
                self.host_dropped_frames += 1
                return False
            was_ready = self._is_ready()
            self._to_read.append(vnet + frame if self.has_vnet else frame)
            self._show_ready(was_ready)
            return True

    def _next(self) -> bytes:
        with self._changed:
            self._check(self._read_error)
            if not self._to_read:
                raise failure(errno.EAGAIN)
            data = self._to_read.popleft()
            self._show_ready(was_ready=True)
            return data

    def _write(self, data: bytes) -> None:
        with self._changed:
            self._check(self._write_error or (0 if self.is_up else errno.EIO))
            if not _is_acceptable(data):
                raise failure(errno.EINVAL)
            if len(self._written) >= self._queue_frames:
                raise failure(errno.EAGAIN)
            self._written.append(data)
            self._changed.notify_all()

    def _check(self, code: int) -> None:
        if self.fd < 0:
            raise failure(errno.EBADF)
        if code:
            raise failure(code)

    def _is_ready(self) -> bool:
        return bool(self._to_read or self._read_error)

    def _show_ready(self, was_ready: bool) -> None:
        """Make the descriptor readable, or stop it from being so."""
        is_ready = self._is_ready()
        if is_ready and not was_ready:
            self._far.send(b"\0")
        elif was_ready and not is_ready:
            self._near.recv(1)


def _is_acceptable(data: bytes) -> bool:
    """Return whether Linux accepts this virtio header and frame, by the checks of its write."""
    size = len(data) - VNET_BYTES
    if size < HEADER_BYTES:
        return False
    fields: tuple[int, ...] = VNET.unpack_from(data)
    flags, gso_type, headers_bytes, gso_size, start, offset = fields
    has_room = not flags & NEEDS_CSUM or start + offset + _CHECKSUM_BYTES <= size
    is_cut_to_size = gso_type & ~GSO_ECN == GSO_NONE or gso_size > 0
    return headers_bytes <= size and has_room and is_cut_to_size
