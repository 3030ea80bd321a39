"""The TAP in memory: it keeps the contract, its queues have bounds, and it fails when told to."""

from __future__ import annotations

import errno
import select
import threading
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support.tap_contract import (
    FRAMES,
    SUPER_FRAME,
    SUPER_VNET,
    TapContract,
    polled,
    read_whole,
)
from vpnws.tap.memory import MemoryTap
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class MemoryDevice:
    """A TAP in memory, driven as the contract's tests want it."""

    def __init__(self, has_vnet: bool) -> None:
        self.tap = MemoryTap("tap7", has_vnet=has_vnet)
        self.tap.up()
        self.send = self.tap.host_send
        self.down = self.tap.host_down
        self.up = self.tap.up
        self.delete = self.tap.host_delete

    def call(self, function: Callable[[], T]) -> T:
        return function()

    def receive(self) -> bytes:
        return self.tap.host_receive()[VNET_BYTES if self.tap.has_vnet else 0 :]


class TestContract(TapContract):
    @pytest.fixture
    def make_device(self) -> Iterator[Callable[[bool], MemoryDevice]]:
        made: list[MemoryDevice] = []

        def make(has_vnet: bool) -> MemoryDevice:
            made.append(MemoryDevice(has_vnet))
            return made[-1]

        yield make
        for device in made:
            device.tap.close()


@pytest.fixture
def tap() -> Iterator[MemoryTap]:
    made = MemoryTap(queue_frames=2)
    made.up()
    yield made
    made.close()


def test_it_is_down_at_first() -> None:
    tap = MemoryTap()
    assert not tap.host_send(FRAMES[0])
    assert tap.host_dropped_frames == 1
    with pytest.raises(OSError, match="Input/output error"):
        tap.write(FRAMES[0])
    tap.close()


def test_what_the_host_sends_beyond_the_queue_is_dropped_and_counted(tap: MemoryTap) -> None:
    assert [tap.host_send(frame) for frame in FRAMES] == [True, True, False]
    assert tap.host_dropped_frames == 1
    assert [tap.read(), tap.read()] == FRAMES[:2]
    assert tap.host_send(FRAMES[2])
    assert tap.read() == FRAMES[2]


def test_a_super_frame_that_is_cut_may_fit_in_part(tap: MemoryTap) -> None:
    assert not tap.host_send(SUPER_FRAME, SUPER_VNET)
    assert tap.host_dropped_frames == 1
    assert len(tap.read()) == len(tap.read()) == 1054


def test_a_host_that_reads_nothing_fills_the_queue(tap: MemoryTap) -> None:
    tap.write(FRAMES[0])
    tap.write(FRAMES[1])
    with pytest.raises(BlockingIOError):
        tap.write(FRAMES[2])
    assert tap.host_receive() == FRAMES[0]
    tap.write(FRAMES[2])


def test_it_is_full_when_told_to_be(tap: MemoryTap) -> None:
    tap.host_fail_writes(errno.EAGAIN)
    with pytest.raises(BlockingIOError):
        tap.write(FRAMES[0])
    tap.host_fail_writes(0)
    tap.write(FRAMES[0])
    assert tap.host_receive() == FRAMES[0]


def test_it_fails_when_told_to(tap: MemoryTap) -> None:
    tap.host_fail_reads(errno.ENOMEM)
    assert polled(tap) & select.POLLIN
    with pytest.raises(OSError, match="Cannot allocate memory"):
        tap.read()
    tap.host_send(FRAMES[0])
    tap.host_fail_reads(0)
    assert tap.read() == FRAMES[0]
    assert polled(tap, wait_ms=0) == 0


def test_a_kernel_that_cannot_offload_completes_every_frame() -> None:
    tap = MemoryTap(has_vnet=True, can_offload=False)
    tap.up()
    assert not tap.set_offload(True)
    tap.host_send(SUPER_FRAME, SUPER_VNET)
    assert [len(read_whole(tap)[1]) for _ in range(3)] == [1054] * 3
    tap.close()


def test_what_was_queued_with_offload_on_keeps_its_header() -> None:
    tap = MemoryTap(has_vnet=True)
    tap.up()
    tap.set_offload(True)
    tap.host_send(SUPER_FRAME, SUPER_VNET)
    tap.set_offload(False)
    assert read_whole(tap) == (SUPER_VNET, SUPER_FRAME)
    tap.close()


def test_a_record_needs_a_device_with_headers(tap: MemoryTap) -> None:
    with pytest.raises(ValueError, match="tap0 has no virtio headers"):
        tap.write_record(NOTHING_TO_DO + FRAMES[0])


def test_the_host_waits_for_a_frame_and_no_longer(tap: MemoryTap) -> None:
    with pytest.raises(TimeoutError, match="nothing was written to tap0"):
        tap.host_receive()
    thread = threading.Thread(target=lambda: tap.write(FRAMES[0]))
    thread.start()
    assert tap.host_receive(5.0) == FRAMES[0]
    thread.join()
