"""What all carriers share: how frames go between a TAP and a connection."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from vpnws.client.carry.counters import ClientDrop
from vpnws.client.carry.device import device_failure
from vpnws.sizes import TURN_BYTES
from vpnws.tap.contract import FRAME_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.client.carry.connection import Connection
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap
    from vpnws.wire.buffer import Buffer

_OVERSIZE: Final = (
    "frames come from the VPN that are longer than the MTU of %s allows, and are dropped: give all"
    " stations the same MTU (here: ip link set %s mtu N, or --mtu N)"
)

log = logging.getLogger(__name__)


class Carrier(ABC):
    """Moves the frames that are ready, in both directions; never waits."""

    def __init__(
        self,
        tap: Tap,
        connection: Connection,
        counters: Counters,
        max_frame_bytes: int,
        write: Callable[[Buffer], None],
        room: memoryview,
    ) -> None:
        """Borrow everything: the caller closes it.

        `write` is the method of `tap` that takes received data. The first frame of each turn is
        read into `room`. `max_frame_bytes` may be changed later.
        """
        self._tap = tap
        self._connection = connection
        self._counters = counters
        self._write = write
        self._first_room = room
        self.max_frame_bytes = max_frame_bytes
        """The longest frame that the device takes; it changes with the device's MTU."""
        self._has_told = False

    @abstractmethod
    def send(self, frames: Sequence[bytes]) -> None:
        """Send complete frames of our own; call it only while the connection has nothing unsent."""

    @abstractmethod
    def deliver(self, messages: list[Buffer]) -> None:
        """Write received messages to the TAP; drop and count frames that the kernel must not get.

        Raises TapError when the device failed.
        """

    def take(self, max_frames: int) -> int:
        """Send the frames that the TAP has ready; return how many it had.

        It takes at most `max_frames`, and stops after TURN_BYTES. Call it only while the connection
        has nothing unsent. Raises TapError when the device failed.
        """
        read_into = self._tap.read_into
        room = self._first_room
        count = size_bytes = 0
        while count < max_frames and size_bytes < TURN_BYTES:
            try:
                length = read_into(room)
            except BlockingIOError:
                break
            except OSError as error:
                raise device_failure(self._tap, error) from error
            count += 1
            size_bytes += length
            room = self._add(length)
        if count:
            self._counters.frames_sent += count
            self._send()
        return count

    @abstractmethod
    def _add(self, length: int) -> memoryview:
        """Take the `length` bytes that were read into the room; return where to read the next."""

    @abstractmethod
    def _send(self) -> None:
        """Send what this turn has read."""

    def _count_unsendable(self) -> None:
        """Count a frame of the TAP that cannot be sent in any form."""
        self._counters.drops[ClientDrop.RECORD] += 1
        # `take` counts every frame that it has read.
        self._counters.frames_sent -= 1

    def _drop_oversize(self) -> None:
        """Count a frame from the server that the MTU does not allow; say so at the first one."""
        self._counters.drops[ClientDrop.OVERSIZE] += 1
        if not self._has_told:
            self._has_told = True
            log.warning(_OVERSIZE, self._tap.name, self._tap.name)

    def _put(self, data: Buffer) -> None:
        """Write to the TAP; count a refused frame. Raises TapError when the device failed."""
        try:
            self._write(data)
        except BlockingIOError:
            self._counters.drops[ClientDrop.TAP_FULL] += 1
        except OSError as error:
            if error.errno not in FRAME_ERRORS:
                raise device_failure(self._tap, error) from error
            self._counters.drops[ClientDrop.TAP_REFUSED] += 1
        else:
            self._counters.frames_received += 1
