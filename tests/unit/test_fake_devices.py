"""The machine's TAPs in memory: made, kept, given away and removed as the kernel does it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.fakes.devices import FakeDevices
from tests.support.frames import mac
from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap import linux
from vpnws.tap.contract import DELETED_ERROR

if TYPE_CHECKING:
    from vpnws.server.uplink.devices import TapDevices

NAME = "vpn0"


@pytest.fixture
def machine() -> FakeDevices:
    return FakeDevices()


def test_a_device_goes_with_its_descriptor_unless_it_persists(machine: FakeDevices) -> None:
    machine.open_tap(NAME).close()
    assert not machine.exists(NAME)
    tap = machine.open_tap(NAME)
    tap.set_persistent(True)
    tap.close()
    tap.close()
    assert machine.exists(NAME)


def test_it_keeps_what_was_set(machine: FakeDevices) -> None:
    tap = machine.open_tap(NAME)
    assert not machine.is_up(NAME)
    tap.up()
    tap.set_owner(33)
    tap.set_persistent(True)
    tap.close()
    assert machine.is_up(NAME)
    assert machine.open_tap(NAME).is_up
    assert machine.devices[NAME].owner == 33


def test_one_process_at_a_time_has_it(machine: FakeDevices) -> None:
    tap = machine.open_tap(NAME)
    with pytest.raises(TapBusyError):
        machine.open_tap(NAME)
    tap.set_persistent(True)
    tap.close()
    machine.open_tap(NAME)


def test_without_create_it_must_be_there(machine: FakeDevices) -> None:
    with pytest.raises(TapError, match="there is no TAP device vpn0"):
        machine.open_tap(NAME, create=False)
    assert not machine.exists(NAME)


def test_who_may_not_does_not(machine: FakeDevices) -> None:
    machine.may_open = False
    with pytest.raises(TapPermissionError):
        machine.open_tap(NAME)
    assert not machine.exists(NAME)


def test_virtio_headers_are_asked_for_at_the_opening(machine: FakeDevices) -> None:
    assert machine.open_tap("one", offload=True).set_offload(True)
    assert not machine.open_tap("two").set_offload(True)
    machine.make("three", can_offload=False)
    assert not machine.open_tap("three", offload=True).set_offload(True)


def test_macs_are_told_as_text(machine: FakeDevices) -> None:
    device = machine.make(NAME, mac=mac(1))
    assert machine.read_mac(NAME) == "02:00:00:00:00:01"
    assert machine.bridge_of(NAME) == machine.read_mac("other") == ""
    device.bridge_mac = mac(2)
    assert machine.read_mac(machine.bridge_of(NAME)) == "02:00:00:00:00:02"


def test_only_what_is_ours_is_released(machine: FakeDevices) -> None:
    for name in ("ours", "theirs"):
        machine.make(name)
    machine.mark_as_ours("ours")
    for name in ("ours", "theirs", "none"):
        machine.release(name)
    assert list(machine.devices) == ["theirs"]


def test_a_deleted_one_fails_for_who_has_it_open(machine: FakeDevices) -> None:
    machine.make(NAME)
    tap = machine.open_tap(NAME)
    machine.delete(NAME)
    with pytest.raises(OSError, match=os.strerror(DELETED_ERROR)) as caught:
        tap.read()
    assert caught.value.errno == DELETED_ERROR
    machine.make(NAME)
    tap.close()
    assert machine.exists(NAME), "another one of that name stays"


def test_it_stands_in_for_the_real_ones() -> None:
    both: list[TapDevices] = [FakeDevices(), linux]
    assert [devices.exists("no-such-device") for devices in both] == [False, False]
