"""Carries frames between a TAP and a connection that speaks vpnws.offload.1."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from vpnws.client.carry.carrier import Carrier
from vpnws.client.carry.counters import Drop
from vpnws.client.carry.masking import HEAD_ROOM_BYTES
from vpnws.sizes import TURN_BYTES
from vpnws.tap.contract import READ_BYTES
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import GSO_NONE, NEEDS_CSUM, VNET, fit, is_sound
from vpnws.wire.records import LENGTH_BYTES, PREFIX_BYTES, VNET_BYTES

if TYPE_CHECKING:
    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap
    from vpnws.wire.websocket import Buffer

MESSAGE_BYTES: Final = 16384 - 8
"""Records share a message of at most this length, which with its header fills one TLS record; a
longer record goes alone. On a slow path the other end need not wait for more."""
_LENGTH: Final = Struct(">I")
_PREFIX: Final = Struct(">I10s")
_USUAL: Final = frozenset(
    VNET.pack(NEEDS_CSUM, GSO_NONE, 0, 0, HEADER_BYTES + header, offset)
    for header in (20, 40)
    for offset in (6, 16)
)
"""A checksum to be completed of UDP or TCP behind the shortest IP header: one's own kernel is taken
at its word there, it is what nearly every frame has."""
_FULL: Final = HEAD_ROOM_BYTES + MESSAGE_BYTES


class RecordCarrier(Carrier):
    """Moves what is ready, in both directions, as records; it waits for nothing."""

    def __init__(
        self, tap: Tap, connection: Connection, counters: Counters, mtu_bytes: int
    ) -> None:
        """Borrow everything; `tap` has virtio headers."""
        super().__init__(tap, connection, counters, mtu_bytes)
        # Room for the header, then records, the last of them as long as any may be.
        self._memory = bytearray(_FULL + LENGTH_BYTES + READ_BYTES)
        self._buffer = memoryview(self._memory)

    def deliver(self, messages: list[Buffer]) -> None:
        """Hand the records of received messages to the TAP; an untrue one is dropped and counted.

        Raises TapError when the device is gone.
        """
        for message in messages:
            self._deliver(message)

    def _deliver(self, message: Buffer) -> None:
        start, end, longest, count = 0, len(message), self._longest, 0
        write = self._tap.write_record
        while end - start >= PREFIX_BYTES:
            size, vnet = _PREFIX.unpack_from(message, start)
            at = start + PREFIX_BYTES
            stop = at + size
            if not HEADER_BYTES <= size <= end - at:
                break
            if is_sound(vnet, message, at, size, longest):
                try:
                    write(message[start + LENGTH_BYTES : stop])
                except OSError as error:
                    self._refuse(error)
                else:
                    count += 1
            else:
                self._counters.drops[Drop.RECORD] += 1
            start = stop
        self._counters.frames_received += count
        if start != end:
            # Where the next one would begin cannot be known.
            self._counters.drops[Drop.RECORD] += 1

    def take(self, most: int) -> int:
        """Send the frames that the TAP has ready, up to `most` or a batch; return how many it had.

        Call it only while the connection has nothing unsent. Raises TapError when the device is
        gone.
        """
        memory = self._memory
        count = size_bytes = 0
        end = HEAD_ROOM_BYTES
        while count < most and size_bytes < TURN_BYTES:
            length = self._read(self._buffer[end + LENGTH_BYTES :])
            if not length:
                break
            count += 1
            size_bytes += length
            size = length - VNET_BYTES
            _LENGTH.pack_into(memory, end, size)
            if memory[end + LENGTH_BYTES] & NEEDS_CSUM and not self._is_usual(end, size):
                end = self._fit(end, end + PREFIX_BYTES + size)
            else:
                end = self._close_full(end, end + PREFIX_BYTES + size)
        if end > HEAD_ROOM_BYTES:
            self._connection.write_message(self._buffer[:end])
        if count:
            self._counters.frames_sent += count
            self._connection.flush()
        return count

    def _is_usual(self, start: int, size: int) -> bool:
        """Tell whether the other end will take the record at `start` as the kernel made it."""
        at = start + PREFIX_BYTES
        vnet = bytes(self._memory[start + LENGTH_BYTES : at])
        return vnet in _USUAL or is_sound(vnet, self._memory, at, size, self._longest)

    def _fit(self, start: int, end: int) -> int:
        """Put in place of the record from `start` to `end` those that the other end takes.

        Return where the next record goes. A frame of which none can be made is dropped.
        """
        record = bytes(self._memory[start:end])
        fitting = fit(record[LENGTH_BYTES:PREFIX_BYTES], record[PREFIX_BYTES:], self._longest)
        if not fitting:
            self._counters.drops[Drop.RECORD] += 1
        for one in fitting:
            self._buffer[start : start + len(one)] = one
            start = self._close_full(start, start + len(one))
        return start

    def _close_full(self, start: int, end: int) -> int:
        """Write the message out if the record from `start` to `end` makes it too long.

        Return where the next record goes.
        """
        if end <= _FULL:
            return end
        write, buffer = self._connection.write_message, self._buffer
        if start > HEAD_ROOM_BYTES:
            write(buffer[:start])
        # The room before the record is free now.
        if end - start >= MESSAGE_BYTES:
            write(buffer[start - HEAD_ROOM_BYTES : end])
            return HEAD_ROOM_BYTES
        first = HEAD_ROOM_BYTES + end - start
        buffer[HEAD_ROOM_BYTES:first] = buffer[start:end]
        return first
