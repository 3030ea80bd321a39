"""Carries frames between a TAP and a connection that speaks vpnws.offload.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.carry.carrier import Carrier
from vpnws.client.carry.counters import ClientDrop
from vpnws.client.carry.masking import HEAD_ROOM_BYTES
from vpnws.tap.contract import READ_BYTES
from vpnws.wire.offload import COMMON_VNETS, NEEDS_CSUM, fit, is_sound
from vpnws.wire.records import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    VNET_BYTES,
    each_record,
    encode_record,
    put_length,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap
    from vpnws.wire.buffer import Buffer

MESSAGE_BYTES: Final = 16384 - 8
"""Records share a message of at most this length; with its header it fills one TLS record. A longer
record goes alone. On a slow path the other end need not wait for more than that."""
_FULL: Final = HEAD_ROOM_BYTES + MESSAGE_BYTES


class RecordCarrier(Carrier):
    """Sends and receives frames as records, several of which may share a message."""

    def __init__(
        self, tap: Tap, connection: Connection, counters: Counters, max_frame_bytes: int
    ) -> None:
        """Borrow everything; `tap` has virtio headers."""
        # Room for a message's header, then for records; the last one may be as long as any read.
        self._memory = bytearray(_FULL + LENGTH_BYTES + READ_BYTES)
        self._buffer = memoryview(self._memory)
        room = self._buffer[HEAD_ROOM_BYTES + LENGTH_BYTES :]
        super().__init__(tap, connection, counters, max_frame_bytes, tap.write_record, room)
        self._end = HEAD_ROOM_BYTES
        """Where the unwritten records end and the next one begins."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Send complete frames of our own; call it only while the connection has nothing unsent."""
        records = b"".join(map(encode_record, frames))
        self._connection.write_message(memoryview(bytearray(HEAD_ROOM_BYTES) + records))
        self._connection.flush()

    def deliver(self, messages: list[Buffer]) -> None:
        """Write received records to the TAP; drop and count what must not reach the kernel.

        Raises TapError when the device failed.
        """
        put, max_frame_bytes = self._put, self.max_frame_bytes
        for message in messages:
            for vnet, at, size in each_record(message):
                # A broken rest of a message has an empty header, so it is not sound either.
                is_complete = vnet == NOTHING_TO_DO and size <= max_frame_bytes
                if is_complete or is_sound(vnet, message, at, size, max_frame_bytes):
                    put(message[at - VNET_BYTES : at + size])
                else:
                    self._refuse(vnet, message, at, size)

    def _add(self, length: int) -> memoryview:
        start, memory = self._end, self._memory
        size = length - VNET_BYTES
        put_length(memory, start, size)
        end = start + PREFIX_BYTES + size
        if memory[start + LENGTH_BYTES] & NEEDS_CSUM and not self._is_usual(start, size):
            self._replace(start, end)
        elif end <= _FULL:
            self._end = end
        else:
            self._keep(start, end)
        return self._buffer[self._end + LENGTH_BYTES :]

    def _send(self) -> None:
        connection, end = self._connection, self._end
        if end > HEAD_ROOM_BYTES:
            connection.write_message(self._buffer[:end])
            self._end = HEAD_ROOM_BYTES
        connection.flush()

    def _refuse(self, vnet: bytes, message: Buffer, at: int, size: int) -> None:
        """Count a record that the TAP does not get, by what is wrong with it."""
        if is_sound(vnet, message, at, size, MAX_FRAME_BYTES):
            self._drop_oversize()
        else:
            self._counters.drops[ClientDrop.RECORD] += 1

    def _is_usual(self, start: int, size: int) -> bool:
        """Return whether the other end will accept the record at `start` as the kernel made it.

        If it has a common header, our own kernel is trusted: checking it would cost half as much as
        reading the frame.
        """
        at = start + PREFIX_BYTES
        vnet = bytes(self._memory[start + LENGTH_BYTES : at])
        return vnet in COMMON_VNETS or is_sound(vnet, self._memory, at, size, self.max_frame_bytes)

    def _replace(self, start: int, end: int) -> None:
        """Replace the record from `start` to `end` by records that the other end accepts.

        If that is not possible, the frame is dropped and counted.
        """
        record = bytes(self._memory[start:end])
        vnet, frame = record[LENGTH_BYTES:PREFIX_BYTES], record[PREFIX_BYTES:]
        replacements = fit(vnet, frame, self.max_frame_bytes)
        if not replacements:
            self._count_unsendable()
        for replacement in replacements:
            start = self._end
            end = start + len(replacement)
            self._buffer[start:end] = replacement
            self._keep(start, end)

    def _keep(self, start: int, end: int) -> None:
        """Keep the record from `start` to `end`; first write a message that would be too long."""
        self._end = end
        if end <= _FULL:
            return
        write, buffer = self._connection.write_message, self._buffer
        if start > HEAD_ROOM_BYTES:
            write(buffer[:start])
        # Everything before the record is written, so that memory is free now.
        if end - start >= MESSAGE_BYTES:
            write(buffer[start - HEAD_ROOM_BYTES : end])
            self._end = HEAD_ROOM_BYTES
        else:
            self._end = HEAD_ROOM_BYTES + end - start
            buffer[HEAD_ROOM_BYTES : self._end] = buffer[start:end]
