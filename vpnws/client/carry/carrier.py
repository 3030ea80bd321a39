"""Carries frames between a TAP and a connection that takes one frame for one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.carry.counters import Drop
from vpnws.client.carry.device import gone
from vpnws.sizes import TURN_BYTES
from vpnws.tap.contract import FRAME_ERRORS, READ_BYTES
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import fit, plain_frames
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES, decode_records

if TYPE_CHECKING:
    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap
    from vpnws.wire.websocket import Buffer

TAG_BYTES: Final = 8
"""A frame may be longer than MTU and header by two tags (IEEE 802.1Q and 802.1ad)."""


class Carrier:
    """Moves what is ready, in both directions; it waits for nothing."""

    def __init__(
        self, tap: Tap, connection: Connection, counters: Counters, mtu_bytes: int
    ) -> None:
        """Borrow everything."""
        self._tap = tap
        self._connection = connection
        self._counters = counters
        self._longest = mtu_bytes + HEADER_BYTES + TAG_BYTES
        self._buffer = memoryview(bytearray(READ_BYTES))

    def deliver(self, messages: list[Buffer]) -> None:
        """Hand received messages to the TAP; what cannot be a frame is dropped and counted.

        Raises TapError when the device is gone.
        """
        write = self._tap.write
        for frame in messages:
            if not HEADER_BYTES <= len(frame) <= self._longest:
                short = len(frame) < HEADER_BYTES
                self._counters.drops[Drop.SHORT if short else Drop.OVERSIZE] += 1
                continue
            try:
                write(frame)
            except OSError as error:
                self._refuse(error)
            else:
                self._counters.frames_received += 1

    def take(self, most: int) -> int:
        """Send the frames that the TAP has ready, up to `most` or a batch; return how many it had.

        Call it only while the connection has nothing unsent. Raises TapError when the device is
        gone.
        """
        frames: list[bytes] = []
        size_bytes = count = 0
        while count < most and size_bytes < TURN_BYTES:
            length = self._read(self._buffer)
            if not length:
                break
            count += 1
            size_bytes += length
            frames += self._as_on_a_wire(length)
        if frames:
            self._counters.frames_sent += len(frames)
            self._connection.send_frames(frames)
        return count

    def _read(self, buffer: memoryview) -> int:
        """Read what the TAP has next into `buffer`; return its length, 0 when there is none."""
        try:
            return self._tap.read_into(buffer)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise gone(self._tap, error) from error

    def _as_on_a_wire(self, length: int) -> list[bytes]:
        """Return the frame in the buffer, cut up if it was queued while offload was on."""
        if not self._tap.has_vnet:
            return [bytes(self._buffer[:length])]
        vnet = bytes(self._buffer[:VNET_BYTES])
        frame = bytes(self._buffer[VNET_BYTES:length])
        return [frame] if vnet == NOTHING_TO_DO else self._cut(vnet, frame)

    def _cut(self, vnet: bytes, frame: bytes) -> list[bytes]:
        """Return what comes of a frame that the kernel left work in, on a wire."""
        frames = [
            packet
            for record in fit(vnet, frame, self._longest)
            for packet in plain_frames(*next(decode_records(record)))
        ]
        if not frames:
            self._counters.drops[Drop.RECORD] += 1
        return frames

    def _refuse(self, error: OSError) -> None:
        """Count a frame that the TAP did not take; raise TapError if it is the device's end."""
        if isinstance(error, BlockingIOError):
            self._counters.drops[Drop.TAP_FULL] += 1
        elif error.errno in FRAME_ERRORS:
            self._counters.drops[Drop.TAP_REFUSED] += 1
        else:
            raise gone(self._tap, error) from error
