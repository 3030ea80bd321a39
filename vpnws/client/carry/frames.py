"""Carries frames between a TAP and a connection without a subprotocol: each message is a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.carry.carrier import Carrier
from vpnws.client.carry.counters import ClientDrop
from vpnws.tap.contract import READ_BYTES
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import fit, plain_frames
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES, decode_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap
    from vpnws.wire.buffer import Buffer


class FrameCarrier(Carrier):
    """Sends and receives each frame as a message of its own."""

    def __init__(
        self, tap: Tap, connection: Connection, counters: Counters, max_frame_bytes: int
    ) -> None:
        """Borrow everything."""
        self._buffer = memoryview(bytearray(READ_BYTES))
        super().__init__(tap, connection, counters, max_frame_bytes, tap.write, self._buffer)
        self._frames: list[bytes] = []

    def send(self, frames: Sequence[bytes]) -> None:
        """Send complete frames of our own; call it only while the connection has nothing unsent."""
        self._connection.send_frames(frames)

    def deliver(self, messages: list[Buffer]) -> None:
        """Write received frames to the TAP; drop and count what must not reach the kernel.

        Raises TapError when the device failed.
        """
        for frame in messages:
            if HEADER_BYTES <= len(frame) <= self.max_frame_bytes:
                self._put(frame)
            elif len(frame) < HEADER_BYTES:
                self._counters.drops[ClientDrop.SHORT] += 1
            else:
                self._drop_oversize()

    def _add(self, length: int) -> memoryview:
        buffer = self._buffer
        if not self._tap.has_vnet:
            self._frames.append(bytes(buffer[:length]))
            return buffer
        vnet, frame = bytes(buffer[:VNET_BYTES]), bytes(buffer[VNET_BYTES:length])
        if vnet == NOTHING_TO_DO:
            self._frames.append(frame)
        else:
            self._frames += self._complete(vnet, frame)
        return buffer

    def _send(self) -> None:
        frames, self._frames = self._frames, []
        if frames:
            self._connection.send_frames(frames)

    def _complete(self, vnet: bytes, frame: bytes) -> list[bytes]:
        """Return the complete frames for one that the TAP queued while offload was on."""
        frames = [
            packet
            for record in fit(vnet, frame, self.max_frame_bytes)
            for packet in plain_frames(*next(decode_records(record)))
        ]
        if not frames:
            self._count_unsendable()
        return frames
