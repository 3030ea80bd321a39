"""What must be true of every TAP (vpnws/tap/contract.py), whatever it is made of.

A test module inherits from `FrameContract` or `TapContract`, and gives it its fixture.
"""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

from tests.support import frames
from vpnws.errors import TapError
from vpnws.tap.contract import DELETED_ERROR, FRAME_ERRORS, READ_BYTES, DeviceState
from vpnws.wire.offload import GSO_TCPV4, NEEDS_CSUM, VNET
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.tap.contract import Tap

T = TypeVar("T")

WAIT_MS = 5000
FRAMES = [frames.ethernet(frames.EXPERIMENT, bytes((number,)) * 46) for number in range(3)]
GSO_BYTES = 1000
PAYLOAD = bytes(3 * GSO_BYTES)
ADDRESSES = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))


def pseudo_header(segment: bytes) -> bytes:
    return frames.pseudo_header(frames.TCP, ADDRESSES, len(segment))


PARTIAL = frames.add_words(pseudo_header(frames.tcp(PAYLOAD)))
"""What is in the checksum field while the rest of the sum is left to do."""
SUPER_FRAME = frames.ipv4(
    frames.tcp(PAYLOAD, check=PARTIAL), protocol=frames.TCP, ports=(), addresses=ADDRESSES
)
SUPER_VNET = VNET.pack(NEEDS_CSUM, GSO_TCPV4, 54, GSO_BYTES, 34, 16)


class Device(Protocol):
    """A TAP, and what the host does with it."""

    @property
    def tap(self) -> Tap:
        """The TAP under test; it is up."""

    def call(self, function: Callable[[], T]) -> T:
        """Call a function where the device can be set up (its namespace), return its result."""

    def send(self, frame: bytes, vnet: bytes = NOTHING_TO_DO) -> object:
        """Send a frame out through the device."""

    def receive(self) -> bytes:
        """Return the next frame that was written, without its virtio header."""

    def down(self) -> None:
        """Take the device down."""

    def up(self) -> None:
        """Bring it up again."""

    def delete(self) -> None:
        """Delete the device, which is open."""


def polled(tap: Tap, events: int = select.POLLIN, wait_ms: int = WAIT_MS) -> int:
    """Return the events that the device has, 0 when it has none in time."""
    poller = select.poll()
    poller.register(tap.fd, events)
    return sum(found for _, found in poller.poll(wait_ms))


def read_whole(tap: Tap) -> tuple[bytes, bytes]:
    """Wait for a frame; return its virtio header, empty without `has_vnet`, and the frame."""
    assert polled(tap) & select.POLLIN
    buffer = memoryview(bytearray(READ_BYTES))
    data = bytes(buffer[: tap.read_into(buffer)])
    at = VNET_BYTES if tap.has_vnet else 0
    return data[:at], data[at:]


class FrameContract:
    """The tests of every device; the fixture `device` is one that is up."""

    def test_frames_of_the_host_are_read_whole_and_in_order(self, device: Device) -> None:
        for frame in FRAMES:
            device.send(frame)
        vnet = NOTHING_TO_DO if device.tap.has_vnet else b""
        assert [read_whole(device.tap) for _ in FRAMES] == [(vnet, frame) for frame in FRAMES]

    def test_reading_what_is_not_there_does_not_wait(self, device: Device) -> None:
        assert polled(device.tap, wait_ms=0) & select.POLLIN == 0
        with pytest.raises(BlockingIOError):
            device.tap.read()
        device.send(FRAMES[0])
        assert polled(device.tap) & select.POLLIN
        assert device.tap.read() == FRAMES[0]
        assert polled(device.tap, wait_ms=0) & select.POLLIN == 0
        with pytest.raises(BlockingIOError):
            device.tap.read_into(memoryview(bytearray(READ_BYTES)))

    def test_what_does_not_fit_the_buffer_is_cut_off(self, device: Device) -> None:
        device.send(FRAMES[0])
        device.send(FRAMES[1])
        assert polled(device.tap)
        at = VNET_BYTES if device.tap.has_vnet else 0
        buffer = memoryview(bytearray(at + 20))
        assert device.tap.read_into(buffer) == len(buffer)
        assert buffer[at:] == FRAMES[0][:20]
        assert read_whole(device.tap)[1] == FRAMES[1]

    def test_written_frames_reach_the_host(self, device: Device) -> None:
        device.tap.write(memoryview(FRAMES[0]))
        device.tap.write(FRAMES[1])
        assert [device.receive(), device.receive()] == FRAMES[:2]

    def test_a_frame_without_a_header_is_refused(self, device: Device) -> None:
        with pytest.raises(OSError, match="Invalid argument"):
            device.tap.write(FRAMES[0][:13])
        device.tap.write(FRAMES[1])
        assert device.receive() == FRAMES[1]

    def test_a_device_that_is_down_loses_frames_only(self, device: Device) -> None:
        device.down()
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
            device.tap.write(FRAMES[0])
        assert caught.value.errno in FRAME_ERRORS
        with pytest.raises(BlockingIOError):
            device.tap.read()
        device.up()
        device.tap.write(FRAMES[1])
        assert device.receive() == FRAMES[1]
        device.send(FRAMES[2])
        assert read_whole(device.tap)[1] == FRAMES[2]

    def test_a_closed_device_keeps_no_descriptor(self, device: Device) -> None:
        device.tap.close()
        device.tap.close()
        assert device.tap.fd == -1
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            device.tap.read()
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            device.tap.write(FRAMES[0])


class TapContract(FrameContract):
    """Those of a network device too; `make_device(has_vnet)` is the fixture that they need."""

    @pytest.fixture(params=[False, True], ids=["plain", "vnet"])
    def device(
        self, request: pytest.FixtureRequest, make_device: Callable[[bool], Device]
    ) -> Device:
        return make_device(request.param)

    def test_a_written_record_reaches_the_host(self, make_device: Callable[[bool], Device]) -> None:
        device = make_device(True)
        device.tap.write_record(memoryview(NOTHING_TO_DO + FRAMES[0]))
        device.tap.write_record(SUPER_VNET + SUPER_FRAME)
        assert [device.receive(), device.receive()] == [FRAMES[0], SUPER_FRAME]

    @pytest.mark.parametrize(
        "vnet",
        [
            VNET.pack(NEEDS_CSUM, 0, 0, 0, 4000, 6),
            VNET.pack(0, 0, 4000, 0, 0, 0),
            VNET.pack(NEEDS_CSUM, GSO_TCPV4, 54, 0, 34, 16),
        ],
        ids=["checksum outside", "headers outside", "segments of nothing"],
    )
    def test_a_header_that_is_not_true_loses_its_frame_only(
        self, make_device: Callable[[bool], Device], vnet: bytes
    ) -> None:
        device = make_device(True)
        with pytest.raises(OSError, match="Invalid argument") as caught:
            device.tap.write_record(vnet + FRAMES[0])
        assert caught.value.errno in FRAME_ERRORS
        device.tap.write(FRAMES[1])
        assert device.receive() == FRAMES[1]

    def test_a_deleted_device_says_so(self, device: Device) -> None:
        device.delete()
        assert polled(device.tap, events=0)
        with pytest.raises(OSError, match=os.strerror(DELETED_ERROR)):
            device.tap.read()
        with pytest.raises(OSError, match=os.strerror(DELETED_ERROR)):
            device.tap.write(FRAMES[0])
        assert DELETED_ERROR not in FRAME_ERRORS

    def test_with_offload_the_host_leaves_work_to_us(
        self, make_device: Callable[[bool], Device]
    ) -> None:
        device = make_device(True)
        assert device.tap.set_offload(True)
        device.send(SUPER_FRAME, SUPER_VNET)
        vnet, frame = read_whole(device.tap)
        assert frame == SUPER_FRAME
        flags, gso_type, headers_bytes, gso_size, start, offset = VNET.unpack(vnet)
        assert (flags, gso_type, gso_size) == (NEEDS_CSUM, GSO_TCPV4, GSO_BYTES)
        assert (start, offset) == (34, 16)
        # Linux counts what is in its first buffer, which has at least the headers.
        assert 54 <= headers_bytes <= len(frame)

    def test_without_offload_every_frame_is_complete(self, device: Device) -> None:
        device.tap.set_offload(True)
        assert not device.tap.set_offload(False)
        device.send(SUPER_FRAME, SUPER_VNET)
        found = [read_whole(device.tap) for _ in range(3)]
        assert {vnet for vnet, _ in found} == {NOTHING_TO_DO if device.tap.has_vnet else b""}
        assert [len(frame) for _, frame in found] == [54 + GSO_BYTES] * 3
        for _, frame in found:
            segment = frame[34:]
            assert frames.checksum(pseudo_header(segment) + segment) == 0

    def test_only_a_device_with_headers_offloads(self, device: Device) -> None:
        assert device.tap.set_offload(True) is device.tap.has_vnet

    def test_a_device_knows_its_name_and_its_mac(self, device: Device) -> None:
        mac = bytes.fromhex("020000000777")
        assert device.tap.name == "tap7"
        assert len(device.call(lambda: device.tap.mac)) == len(mac)
        device.call(lambda: device.tap.set_mac(mac))
        assert device.call(lambda: device.tap.mac) == mac
        device.call(lambda: device.tap.set_mtu(1400))
        assert device.call(device.tap.state) == DeviceState("tap7", mac, 1400, is_up=True)

    def test_a_device_knows_that_it_is_down_or_deleted(self, device: Device) -> None:
        device.down()
        assert device.call(device.tap.state).is_up is False
        device.delete()
        with pytest.raises(TapError, match="the TAP device tap7 was deleted"):
            device.call(device.tap.state)
