"""An uplink: a port whose other side is a TAP device of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.errors import TapError
from vpnws.server.uplink.presence import Presence
from vpnws.sizes import TURN_BYTES, TURN_FRAMES, WRITE_BYTES
from vpnws.switch.drop import Drop
from vpnws.switch.format import PLAIN_FRAMES, TAP_RECORDS
from vpnws.tap.contract import FRAME_ERRORS, READ_BYTES
from vpnws.wire.offload import fit, is_sound
from vpnws.wire.records import (
    LENGTH_BYTES,
    NOTHING_TO_DO,
    PREFIX_BYTES,
    encode_record,
    put_length,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Watcher
    from vpnws.server.node import Node
    from vpnws.server.uplink.devices import TapDevices
    from vpnws.switch.port import AccessPort
    from vpnws.tap.contract import Tap
    from vpnws.wire.buffer import Buffer

ANNOUNCE_S: Final = 0.5
"""The device is looked at this often: its MACs are learned again, and what is new is announced."""
RETRY_S: Final = 0.25
"""A TAP that has gone away is looked for this often."""
_buffer = memoryview(bytearray(TURN_BYTES + LENGTH_BYTES + READ_BYTES))


class Uplink:
    """One network's TAP as a port of the switch; the device may go away and come back."""

    def __init__(self, node: Node, devices: TapDevices, network: str, device: str) -> None:
        """Attach `device` to `network` now, or as soon as it can be opened."""
        self._node = node
        self._loop = node.loop
        self._devices = devices
        self._network = network
        self._device = device
        self._tap: Tap | None = None
        self._port: AccessPort | None = None
        self._reader: Watcher | None = None
        self._retry: Watcher | None = None
        self._announcer: Watcher | None = None
        self._failure = ""
        self._open()

    def flush(self, now: float) -> None:
        """Write what is queued to the device; drop and count the frames that it refuses."""
        if self._port is None or self._tap is None:
            return
        port, tap = self._port, self._tap
        write = tap.write_record if tap.has_vnet else tap.write
        frame_at = LENGTH_BYTES if tap.has_vnet else 0
        while items := port.format.gather(port.egress, WRITE_BYTES, TURN_FRAMES, now):
            try:
                for item in items:
                    if not _write(write, memoryview(item)[frame_at:]):
                        port.egress.drop(bytes(item), Drop.DEVICE, now)
            except OSError as error:
                self._lose(error)
                return

    def close(self) -> None:
        """Detach from the switch and close the device."""
        for watcher in (self._reader, self._retry, self._announcer):
            if watcher is not None:
                watcher.close()
        self._reader = self._retry = self._announcer = None
        if self._port is not None:
            self._node.detach_uplink(self._port)
            self._port = None
        if self._tap is not None:
            self._tap.close()
            self._tap = None

    def _open(self) -> None:
        try:
            tap = self._devices.open_tap(
                self._device, create=False, offload=self._node.settings.offload
            )
        except TapError as error:
            self._wait(str(error))
            return
        self._failure = ""
        self._tap = tap
        offloads = tap.set_offload(tap.has_vnet)
        self._port = self._node.attach_uplink(
            self._network, self, TAP_RECORDS if tap.has_vnet else PLAIN_FRAMES
        )
        self._reader = self._loop.on_readable(
            tap.fd, self._read_records if tap.has_vnet else self._read_frames
        )
        self._presence = Presence(self._devices, self._network, self._device, self._node.journal)
        self._announcer = self._loop.every(ANNOUNCE_S, self._announce)
        self._announce()
        offload = "on" if offloads else "off"
        self._node.journal.note(
            Event.UPLINK_UP,
            f"uplink {self._device} up network={self._network} offload={offload}",
            device=self._device,
            network=self._network,
            offload=offload,
        )

    def _announce(self) -> None:
        """Learn the server's own MACs, those of the TAP and its bridge; they may never send.

        Tell the stations which addresses are there, if that is new.
        """
        if self._tap is None or self._port is None:
            return
        try:
            macs, frames = self._presence.look(self._tap)
        except TapError:
            # Its descriptor is reported as readable, and reading says the same.
            return
        self._node.own(self._port, macs)
        if frames:
            messages = [encode_record(frame) for frame in frames] if self._tap.has_vnet else frames
            self._node.switch.receive(self._port, messages, self._loop.now())

    def _read_records(self) -> None:
        """Read frames one after the other, as the records of one message."""
        if self._tap is None or self._port is None:
            return
        try:
            message = read_message(self._tap, self._port.max_frame_bytes)
        except OSError as error:
            self._lose(error)
            return
        if message:
            self._node.switch.receive(self._port, (message,), self._loop.now())

    def _read_frames(self) -> None:
        if self._tap is None or self._port is None:
            return
        frames: list[bytes] = []
        try:
            while len(frames) < TURN_FRAMES:
                frames.append(self._tap.read())
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(error)
            return
        self._node.switch.receive(self._port, frames, self._loop.now())

    def _lose(self, error: OSError) -> None:
        self.close()
        if self._devices.exists(self._device):
            self._wait(f"the TAP device {self._device} failed: {error.strerror}")
        else:
            # Opening fails with a better reason. It is always the same one, so it is logged once.
            self._open()

    def _wait(self, sentence: str) -> None:
        """Note `sentence`, unless it was the last one noted, and try again later."""
        if sentence != self._failure:
            self._failure = sentence
            self._node.journal.note(
                Event.UPLINK_DOWN,
                f"uplink {self._device} down network={self._network}: {sentence}",
                device=self._device,
                network=self._network,
                reason=sentence,
            )
        self._retry = self._loop.after(RETRY_S, self._open)


def _write(write: Callable[[Buffer], None], frame: Buffer) -> bool:
    """Write a frame; return False if the kernel refuses it. Raises OSError if the device fails."""
    try:
        write(frame)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in FRAME_ERRORS:
            raise
        return False
    return True


def read_message(tap: Tap, max_packet_bytes: int) -> bytes:
    """Return the frames that `tap` has ready, as records; empty if there are none.

    They are TURN_FRAMES or about TURN_BYTES at most. A frame that stations would refuse as the
    kernel made it is changed so that they accept it (see `offload.fit`); no packet of it is longer
    than `max_packet_bytes`. Raises OSError when the device is gone.
    """
    at = 0
    try:
        for _ in range(TURN_FRAMES):
            frame_at = at + PREFIX_BYTES
            stop = at + LENGTH_BYTES + tap.read_into(_buffer[at + LENGTH_BYTES :])
            size = stop - frame_at
            put_length(_buffer, at, size)
            vnet = bytes(_buffer[at + LENGTH_BYTES : frame_at])
            if vnet != NOTHING_TO_DO and not is_sound(
                vnet, _buffer, frame_at, size, max_packet_bytes
            ):
                # They may need more room than the buffer has left.
                fitting = b"".join(fit(vnet, bytes(_buffer[frame_at:stop]), max_packet_bytes))
                return bytes(_buffer[:at]) + (fitting or bytes(_buffer[at:stop]))
            at = stop
            if at >= TURN_BYTES:
                break
    except BlockingIOError:
        pass
    return bytes(_buffer[:at])
