"""A virtual machine as a TAP: QEMU's `-netdev stream`, or passt's framing, on a unix socket.

Theory of operation. We listen, as passt does, and the guest's QEMU connects; when it goes, the next
one may come. The descriptor to poll is a poller of three: the listening socket, the guest, and a
flag that is up while whole frames wait in our buffer, where no descriptor would tell. A write never
waits. The socket may take only the beginning of a frame: the rest is kept, at most one frame, and
while there is a rest no other frame is taken. So the guest sees whole frames or nothing.

The guest's MAC is its own. Until its first frame has told it, the device has the one that it was
given, or a random one.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Final

from vpnws.poller import READ, WRITE, make_poller
from vpnws.tap.contract import DeviceState, failure
from vpnws.tap.flag import Flag
from vpnws.tap.qemu_listener import QemuListener
from vpnws.wire.ethernet import HEADER_BYTES, MAC_BYTES, format_mac, is_station_address, local_mac
from vpnws.wire.qemu_stream import LENGTH, LENGTH_BYTES, BadLengthError, FrameReader

if TYPE_CHECKING:
    import socket

    from vpnws.wire.buffer import Buffer

PREFIX: Final = "qemu:"
SAME_FOR_ALL: Final = bytes.fromhex("525400123456")
"""The MAC that QEMU gives to the first device of every guest that was given none."""
DEFAULT_MTU_BYTES: Final = 1500
log = logging.getLogger(__name__)


class QemuTap:
    """A Tap (see the contract) whose other end is a guest instead of this machine's kernel."""

    has_vnet: Final = False
    is_interface: Final = False

    def __init__(self, path: str) -> None:
        """Listen at `path`. Raises TapError."""
        self.name = f"{PREFIX}{path}"
        self.mac = local_mac(os.urandom(MAC_BYTES))
        self.mtu_bytes = DEFAULT_MTU_BYTES
        self.events = QemuEvents()
        """Tells that a guest has come or gone, or has another MAC."""
        self._listener = QemuListener(path)
        self._ready = Flag()
        self._guest: socket.socket | None = None
        self._reader = FrameReader()
        self._unsent = b""
        self._knows_mac = self._has_refused = False
        self._poller = make_poller()
        for fd in (self._listener.fd, self._ready.fd):
            self._poller.register(fd, READ)
        self.fd = self._poller.fileno()

    def state(self) -> DeviceState:
        """Return how the device is now: up while a guest is connected."""
        return DeviceState(self.name, self.mac, self.mtu_bytes, self._guest is not None)

    def set_mac(self, mac: bytes) -> None:
        """Announce `mac` until the guest has told its own."""
        if not self._knows_mac:
            self.mac = mac

    def set_mtu(self, mtu_bytes: int) -> None:
        """Note the MTU that the guest has; longer frames are not for it."""
        self.mtu_bytes = mtu_bytes

    def up(self) -> None:
        """Do nothing: the guest comes when it comes."""

    def set_offload(self, on: bool) -> bool:
        """Return False: no virtio header crosses."""
        return on and self.has_vnet

    def read(self) -> bytes:
        """Return the next frame of the guest; raises as the contract says."""
        return bytes(self._next())

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame of the guest into `buffer`; returns and raises as the contract."""
        frame = self._next()[: len(buffer)]
        buffer[: len(frame)] = frame
        return len(frame)

    def write(self, frame: Buffer) -> None:
        """Hand one frame to the guest; raises as the contract says, EIO while there is no guest."""
        if len(frame) < HEADER_BYTES:
            raise failure(errno.EINVAL)
        guest = self._guest_or_error()
        if self._unsent and not self._flush():
            raise failure(errno.EAGAIN)
        parts = (LENGTH.pack(len(frame)), frame)
        try:
            sent = guest.sendmsg(parts)
        except BlockingIOError:
            raise
        except OSError as error:
            self._part(f"is gone ({error.strerror})")
            raise failure(errno.EIO) from error
        if sent < LENGTH_BYTES + len(frame):
            self._keep(b"".join(parts)[sent:])

    def write_record(self, vnet_and_frame: Buffer) -> None:  # noqa: ARG002
        """Refuse: only a Tap with `has_vnet` takes records. Raises OSError."""
        raise failure(errno.EINVAL)

    def close(self) -> None:
        """Close the device; closing it again does nothing."""
        if self.fd < 0:
            return
        self.fd = -1
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        self._poller.close()
        self._listener.close()
        self._ready.close()
        self.events.close()

    def _next(self) -> memoryview:
        """Return the next frame. Raises BlockingIOError if none is whole."""
        if self.fd < 0:
            raise failure(errno.EBADF)
        try:
            frame = self._reader.next()
            if frame is None:
                frame = self._receive()
        except BadLengthError as error:
            self._part(f"does not speak QEMU's framing ({error}) and was sent away")
            frame = None
        if frame is None:
            self._ready.lower()
            raise failure(errno.EAGAIN)
        if self._reader.has_frame():
            self._ready.raise_()
        else:
            self._ready.lower()
        if not self._knows_mac:
            self._learn(bytes(frame[6:12]))
        return frame

    def _receive(self) -> memoryview | None:
        """Read what the guest has sent; return the next frame if it is whole now."""
        if self._guest is not None:
            try:
                count = self._guest.recv_into(self._reader.room())
            except BlockingIOError:
                self._look_around()
                return None
            except OSError as error:
                self._part(f"is gone ({error.strerror})")
                return None
            if count:
                self._reader.received(count)
                return self._reader.next()
            self._part("is gone")
        self._look_around()
        return None

    def _look_around(self) -> None:
        """See to what made the descriptor readable besides frames."""
        for fd, _ in self._poller.poll(0):
            if fd == self._listener.fd:
                self._accept()
            elif fd != self._ready.fd and self._unsent:
                self._flush()

    def _accept(self) -> None:
        """Let a guest in, or send it away while another one is here; say so once a guest."""
        guest = self._listener.accept()
        if guest is None:
            return
        if self._guest is not None:
            guest.close()
            if not self._has_refused:
                self._has_refused = True
                log.warning("another guest came to %s and was sent away: one is here", self.name)
            return
        self._guest = guest
        self._poller.register(guest.fileno(), READ)
        self._knows_mac = self._has_refused = False
        log.info("a guest has come to %s", self.name)
        self.events.tell()

    def _part(self, why: str) -> None:
        """Say that the guest is gone, and forget what it left."""
        if self._guest is None:
            return
        log.warning("the guest at %s %s; waiting for the next", self.name, why)
        self._poller.unregister(self._guest.fileno())
        self._guest.close()
        self._guest, self._reader, self._unsent = None, FrameReader(), b""
        self.events.tell()

    def _learn(self, mac: bytes) -> None:
        """Take the MAC of the guest's first frame for the device's."""
        if not is_station_address(mac):
            return
        self._knows_mac = True
        if mac == SAME_FOR_ALL:
            log.warning(
                "the guest at %s has the MAC %s, which QEMU gives to every guest that was given"
                " none: two of them cannot be in one network; give it its own"
                " (-device virtio-net-pci,netdev=...,mac=52:54:00:...)",
                *(self.name, format_mac(mac)),
            )
        if mac != self.mac:
            self.mac = mac
            self.events.tell()

    def _guest_or_error(self) -> socket.socket:
        if self.fd < 0:
            raise failure(errno.EBADF)
        if self._guest is None:
            # One may have come since the last read.
            self._look_around()
        if self._guest is None:
            raise failure(errno.EIO)
        return self._guest

    def _keep(self, rest: bytes) -> None:
        """Keep the rest of a frame that has begun, and send it when there is room."""
        self._unsent = rest
        if self._guest is not None:
            self._poller.modify(self._guest.fileno(), READ | WRITE)

    def _flush(self) -> bool:
        """Send the rest; return whether it is gone."""
        guest = self._guest_or_error()
        try:
            self._unsent = self._unsent[guest.send(self._unsent) :]
        except BlockingIOError:
            return False
        except OSError as error:
            self._part(f"is gone ({error.strerror})")
            return True
        if not self._unsent:
            self._poller.modify(guest.fileno(), READ)
        return not self._unsent


class QemuEvents:
    """DeviceEvents of a QemuTap."""

    def __init__(self) -> None:
        self._flag = Flag()
        self.fd = self._flag.fd

    def drain(self) -> None:
        """Forget the changes so far."""
        self._flag.lower()

    def tell(self) -> None:
        """Tell of a change."""
        self._flag.raise_()

    def close(self) -> None:
        """Close the descriptors."""
        self._flag.close()
