"""The device changes while the client runs: what is followed, and what is said of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import mac
from tests.support.pump_bed import MTU, WAIT_S, Bed, frame
from tests.support.waiting import wait_for
from vpnws.client.carry.counters import ClientDrop
from vpnws.client.carry.watch import DeviceWatch
from vpnws.errors import ConnectError, TapError
from vpnws.tap.linux import MAX_NAME_BYTES, is_device_name
from vpnws.tap.rtnetlink import NoEvents
from vpnws.wire.records import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.tap.memory import MemoryTap

LONG = frame(1, 9012)


@pytest.fixture
def bed() -> Iterator[Bed]:
    made = Bed()
    yield made
    made.close()


@pytest.fixture
def watch(tap: MemoryTap, caplog: pytest.LogCaptureFixture) -> DeviceWatch:
    caplog.set_level(logging.INFO)
    return DeviceWatch(tap, tap.events)


def test_a_frame_of_the_new_mtu_passes_and_one_of_the_old_did_not(bed: Bed) -> None:
    bed.start()
    bed.far.send(LONG)
    bed.far.send(frame(2))
    assert bed.received() == frame(2)
    bed.tap.host_change(mtu_bytes=9000)
    wait_for(lambda: bed.watch.state.mtu_bytes == 9000, WAIT_S, "the client to notice")
    bed.far.send(LONG)
    assert bed.received() == LONG
    assert bed.counters.drops == {ClientDrop.OVERSIZE: 1}


def test_a_lower_mtu_is_followed_too(bed: Bed) -> None:
    bed.start()
    bed.tap.host_change(mtu_bytes=1000)
    wait_for(lambda: bed.watch.state.mtu_bytes == 1000, WAIT_S, "the client to notice")
    bed.far.send(frame(1, MTU))
    bed.far.send(frame(2))
    assert bed.received() == frame(2)
    assert bed.counters.drops == {ClientDrop.OVERSIZE: 1}


def test_a_new_mac_ends_the_connection(bed: Bed) -> None:
    bed.start()
    bed.tap.host_change(mac=mac(0x77))
    assert isinstance(bed.ended(), ConnectError)
    assert "another MAC" in str(bed.error)


def test_a_deleted_device_ends_it(bed: Bed) -> None:
    bed.start()
    bed.tap.host_delete()
    assert isinstance(bed.ended(), TapError)
    assert str(bed.error) == "the TAP device tap9 was deleted"


def test_a_change_of_another_device_is_no_news(
    tap: MemoryTap, watch: DeviceWatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        tap.host_change()
        watch.look()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"mtu_bytes": 9000}, "the MTU of tap9 is 9000 now: frames up to that pass"),
        ({"mac": mac(0x77)}, "the MAC of tap9 is 02:00:00:00:00:77 now"),
        ({"name": "other0"}, "the device tap9 is called other0 now"),
        ({"is_up": False}, "tap9 is down, so no frame passes: ip link set tap9 up"),
    ],
)
def test_each_change_is_said_once(
    tap: MemoryTap,
    watch: DeviceWatch,
    caplog: pytest.LogCaptureFixture,
    facts: dict[str, object],
    sentence: str,
) -> None:
    tap.host_change(**facts)
    watch.look()
    watch.look()
    assert caplog.messages == [sentence]


def test_in_another_namespace_no_frame_is_too_long_and_it_may_come_back(
    tap: MemoryTap, watch: DeviceWatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert watch.max_frame_bytes == MTU + 22
    tap.host_change(is_here=False)
    watch.look()
    assert watch.max_frame_bytes == MAX_FRAME_BYTES
    tap.host_change(is_here=True)
    watch.look()
    assert watch.max_frame_bytes == MTU + 22
    moved, *back = caplog.messages
    assert moved.startswith("tap9 is in another network namespace now, and frames still pass")
    assert back[0] == "tap9 is back in the network namespace of the client"


def test_where_nothing_tells_the_device_is_looked_at_when_asked(tap: MemoryTap) -> None:
    watch = DeviceWatch(tap, NoEvents())
    tap.host_change(mtu_bytes=9000)
    watch.look()
    assert watch.state.mtu_bytes == 9000


@pytest.mark.parametrize("name", ["tap0", "vpn%d", "a-b_c.d", "x" * MAX_NAME_BYTES, "d\u00e9"])
def test_these_can_name_a_device(name: str) -> None:
    assert is_device_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a b", "a/b", "a:b", "tap%", "tap%s", "a%d%d", "x" * 16, "\u00e0", "a\n"],
)
def test_these_cannot(name: str) -> None:
    assert not is_device_name(name)
