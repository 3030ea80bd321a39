"""The mule: it serves the TAPs until it is told to end, and knows a stop from a reload."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.devices import FakeDevices
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi, ProcessEnded
from vpnws.config import Settings
from vpnws.server.start import Server
from vpnws.server.uplink import mule as mule_module
from vpnws.server.uplink.hooks import HOOK_S
from vpnws.server.uplink.mule import Mule

if TYPE_CHECKING:
    from pathlib import Path

TAPS = (("blue", "vpn0"), ("red", "vpn1"))


class Bed:
    """A mule that runs until its first wait."""

    def __init__(self, taps: tuple[tuple[str, str], ...] = TAPS, exec_down: str = "") -> None:
        self.loop = ManualLoop()
        self.uwsgi = FakeUwsgi(FakeMaster(self.loop, workers=1), self.loop, mule=1)
        self.devices = FakeDevices()
        for _, device in TAPS:
            self.devices.make(device).is_ours = True
        settings = Settings(mode="bridge", tap=taps, exec_down=exec_down)
        server = Server(self.loop, self.uwsgi, self.devices, settings, {})
        self.greenlet = self.loop.spawn(Mule(server))

    def open_devices(self) -> list[str]:
        return [name for name, device in self.devices.devices.items() if device.opened]

    def end(self, number: int) -> None:
        with pytest.raises(ProcessEnded):
            self.loop.send_signal(number)
        assert self.greenlet.dead


def test_it_opens_every_tap() -> None:
    assert Bed().open_devices() == ["vpn0", "vpn1"]


def test_without_a_tap_it_only_waits() -> None:
    bed = Bed(taps=())
    assert bed.open_devices() == []
    assert bed.loop.open_watchers() == []
    bed.end(signal.SIGINT)
    assert list(bed.devices.devices) == ["vpn0", "vpn1"]


@pytest.mark.parametrize(
    ("number", "left"),
    [(signal.SIGINT, []), (signal.SIGTERM, ["vpn0", "vpn1"]), (signal.SIGHUP, ["vpn0", "vpn1"])],
)
def test_only_a_stop_takes_the_devices_down(number: int, left: list[str]) -> None:
    bed = Bed()
    bed.end(number)
    assert list(bed.devices.devices) == left
    assert bed.open_devices() == []


def test_the_commands_run_for_each_device_while_it_is_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bed = Bed(exec_down=f'echo "$VPNWS_TAP $VPNWS_NETWORK $VPNWS_MAC" >> {out}')
    mac = bed.devices.read_mac("vpn0")
    bed.end(signal.SIGINT)
    assert out.read_text() == f"vpn0 blue {mac}\nvpn1 red {mac}\n"


def test_the_commands_do_not_run_in_a_reload(tmp_path: Path) -> None:
    bed = Bed(exec_down=f"touch {tmp_path / 'out'}")
    bed.end(signal.SIGHUP)
    assert list(tmp_path.iterdir()) == []


def test_commands_that_fail_are_logged_and_the_rest_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    bed = Bed(exec_down='test "$VPNWS_TAP" = vpn1')
    bed.end(signal.SIGINT)
    assert len(caplog.messages) == 1
    assert "failed for vpn0" in caplog.messages[0]
    assert bed.devices.devices == {}


def test_all_commands_together_get_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(exec_down="true")
    given: list[float] = []

    def slow_hook(*_arguments: object, timeout_s: float, **_: object) -> None:
        given.append(timeout_s)
        bed.loop.world.now_s += 20.0 if len(given) == 1 else 0.0

    monkeypatch.setattr(mule_module, "run_hook", slow_hook)
    bed.end(signal.SIGINT)
    assert given == [HOOK_S, HOOK_S - 20.0]


def test_commands_get_a_second_even_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed = Bed(exec_down="true")
    given: list[float] = []

    def slow_hook(*_arguments: object, timeout_s: float, **_: object) -> None:
        given.append(timeout_s)
        bed.loop.world.now_s += 2.0 * HOOK_S

    monkeypatch.setattr(mule_module, "run_hook", slow_hook)
    bed.end(signal.SIGINT)
    assert given == [HOOK_S, 1.0]


def test_a_device_that_cannot_be_removed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bed = Bed()
    caplog.clear()
    bed.devices.may_open = False
    bed.end(signal.SIGINT)
    assert [message[:13] for message in caplog.messages] == ["no permission"] * 2
