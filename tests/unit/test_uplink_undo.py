"""The TAPs of a start that was given up are removed; those of a server that runs are left."""

from __future__ import annotations

import os

import pytest

from tests.fakes.devices import FakeDevices
from vpnws.errors import TapError
from vpnws.server.ini import CHECK, RELOADS, STARTED
from vpnws.server.uplink import undo as program
from vpnws.server.uplink.undo import undo

TAPS = {"VPNWS_INI_TAP": "blue:vpn0 red:vpn1"}


@pytest.fixture
def devices() -> FakeDevices:
    """Return a machine with two TAPs: one of ours, one of an admin's."""
    devices = FakeDevices()
    devices.make("vpn0").is_ours = True
    devices.make("vpn1")
    return devices


@pytest.mark.parametrize(
    "besides",
    [
        pytest.param({}, id="the first start"),
        pytest.param({RELOADS: "1", STARTED: "0"}, id="a reload after a good start"),
    ],
)
def test_a_start_that_was_given_up(devices: FakeDevices, besides: dict[str, str]) -> None:
    undo(TAPS | besides, devices)
    assert list(devices.devices) == ["vpn1"]


@pytest.mark.parametrize(
    "besides",
    [
        pytest.param({STARTED: "0"}, id="a stop"),
        pytest.param({RELOADS: "3", STARTED: "3"}, id="a stop or a reload after reloads"),
        pytest.param({CHECK: "1"}, id="a check beside a server"),
    ],
)
def test_every_other_end(devices: FakeDevices, besides: dict[str, str]) -> None:
    undo(TAPS | besides, devices)
    assert list(devices.devices) == ["vpn0", "vpn1"]


def test_without_taps_there_is_nothing_to_do(devices: FakeDevices) -> None:
    undo({}, devices)
    assert list(devices.devices) == ["vpn0", "vpn1"]


def test_one_that_cannot_be_removed_is_named(
    devices: FakeDevices, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    devices.may_open = False
    monkeypatch.setattr(program, "linux", devices)
    monkeypatch.setattr(os, "environ", TAPS)
    with pytest.raises(TapError):
        undo(TAPS, devices)
    assert program.main() == 1
    assert capsys.readouterr().err.startswith("vpnws: a TAP of this start is left: ")
