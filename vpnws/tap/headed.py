"""Gives virtio headers to a TAP that has none: what it reads needs no work, what it writes is done.

So a device of any kind can speak vpnws.offload.1: many small frames share a message, a super-frame
crosses the network whole and is cut into packets here, and the server's texts reach the station.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from vpnws.tap.contract import failure
from vpnws.wire.offload import plain_frames
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from vpnws.tap.contract import DeviceState, Tap
    from vpnws.wire.buffer import Buffer


class HeadedTap:
    """A Tap with `has_vnet` around one without; everything else is the inner device's."""

    has_vnet: Final = True

    def __init__(self, tap: Tap) -> None:
        """Take over `tap`."""
        self._tap = tap
        self.set_mac = tap.set_mac
        self.set_mtu = tap.set_mtu
        self.up = tap.up
        self.read = tap.read
        self.write = tap.write
        self.close = tap.close
        self.is_interface = tap.is_interface

    @property
    def fd(self) -> int:
        """The descriptor to poll; -1 once the device is closed."""
        return self._tap.fd

    @property
    def name(self) -> str:
        """The name of the device, as of the last `state`."""
        return self._tap.name

    @property
    def mac(self) -> bytes:
        """The device's own MAC, as 6 bytes."""
        return self._tap.mac

    def state(self) -> DeviceState:
        """Return how the device is now. Raises TapError if it is gone."""
        return self._tap.state()

    def set_offload(self, on: bool) -> bool:
        """Return `on`: records are completed here, whatever the device can do."""
        return on

    def read_into(self, buffer: memoryview) -> int:
        """Read the next frame into `buffer` after an empty header; as the contract says."""
        length = self._tap.read_into(buffer[VNET_BYTES:])
        buffer[:VNET_BYTES] = NOTHING_TO_DO
        return VNET_BYTES + length

    def write_record(self, vnet_and_frame: Buffer) -> None:
        """Hand the frames of one record to the device; raises as the contract says.

        If the device takes only the first of several, the others are lost.
        """
        whole = memoryview(vnet_and_frame)
        if whole[:VNET_BYTES] == NOTHING_TO_DO:
            self.write(whole[VNET_BYTES:])
            return
        try:
            frames = plain_frames(bytes(whole[:VNET_BYTES]), bytes(whole[VNET_BYTES:]))
        except ValueError as error:
            raise failure(errno.EINVAL) from error
        for frame in frames:
            self.write(frame)
