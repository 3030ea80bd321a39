"""A device that gets virtio headers from us: it keeps the contract, and records arrive whole."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support import frames
from tests.support.tap_contract import (
    FRAMES,
    GSO_BYTES,
    SUPER_FRAME,
    SUPER_VNET,
    FrameContract,
    pseudo_header,
    read_whole,
)
from vpnws.errors import TapError
from vpnws.tap.headed import HeadedTap
from vpnws.tap.memory import MemoryTap
from vpnws.wire.offload import NEEDS_CSUM, VNET
from vpnws.wire.records import NOTHING_TO_DO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Headed:
    """The device around one in memory, driven as the contract's tests want it."""

    def __init__(self, queue_frames: int = 512) -> None:
        self.inner = MemoryTap("tap7", queue_frames=queue_frames)
        self.inner.up()
        self.tap = HeadedTap(self.inner)
        self.send = self.inner.host_send
        self.receive = self.inner.host_receive
        self.down = self.inner.host_down
        self.up = self.inner.up
        self.delete = self.inner.host_delete

    def call(self, function: Callable[[], T]) -> T:
        return function()


@pytest.fixture
def made() -> Iterator[Headed]:
    headed = Headed()
    yield headed
    headed.tap.close()


class TestContract(FrameContract):
    @pytest.fixture
    def device(self, made: Headed) -> Headed:
        return made


def test_a_frame_comes_with_a_header_that_leaves_nothing_to_do(made: Headed) -> None:
    made.send(FRAMES[0])
    assert read_whole(made.tap) == (NOTHING_TO_DO, FRAMES[0])
    made.tap.write_record(NOTHING_TO_DO + FRAMES[1])
    assert made.receive() == FRAMES[1]


def test_a_super_frame_is_cut_into_packets_with_their_checksums(made: Headed) -> None:
    assert made.tap.set_offload(True)
    made.tap.write_record(memoryview(SUPER_VNET + SUPER_FRAME))
    packets = [made.receive() for _ in range(3)]
    assert [len(packet) for packet in packets] == [54 + GSO_BYTES] * 3
    for packet in packets:
        segment = packet[34:]
        assert frames.checksum(pseudo_header(segment) + segment) == 0
    with pytest.raises(TimeoutError):
        made.receive()


def test_what_cannot_be_completed_loses_its_frame_only(made: Headed) -> None:
    broken = VNET.pack(NEEDS_CSUM, 0, 0, 0, 34, 6)
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        made.tap.write_record(broken + FRAMES[0])
    made.tap.write(FRAMES[1])
    assert made.receive() == FRAMES[1]


def test_a_full_device_refuses_the_rest_of_a_record() -> None:
    headed = Headed(queue_frames=2)
    with pytest.raises(BlockingIOError):
        headed.tap.write_record(SUPER_VNET + SUPER_FRAME)
    headed.tap.close()


def test_everything_else_is_the_devices_own(made: Headed) -> None:
    tap = made.tap
    tap.set_mac(frames.mac(0x77))
    tap.set_mtu(1400)
    assert tap.state() == made.inner.state()
    assert (tap.mac, tap.state().mtu_bytes, tap.name) == (frames.mac(0x77), 1400, "tap7")
    assert tap.is_interface
    made.delete()
    with pytest.raises(TapError):
        tap.state()
