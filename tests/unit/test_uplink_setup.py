"""The TAPs are made before privileges are dropped, once, for whom they are, or not at all."""

from __future__ import annotations

import os
import pwd
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.devices import FakeDevices
from vpnws.errors import ConfigError, HookError, TapError, VpnwsError
from vpnws.server.ini import CHECK, RELOADS
from vpnws.server.uplink import setup
from vpnws.server.uplink.setup import set_up, stoppable

if TYPE_CHECKING:
    from pathlib import Path

ROOT = 0
USER = 12345
"""No user of any machine."""


@pytest.fixture
def devices() -> FakeDevices:
    return FakeDevices()


def environment(taps: str = "vpn0", *, commands: str = "", uid: str = "") -> dict[str, str]:
    return {"VPNWS_INI_TAP": taps, "VPNWS_INI_EXEC": commands, "VPNWS_INI_UID": uid}


class TestAsRoot:
    def test_makes_what_is_not_there(self, devices: FakeDevices) -> None:
        set_up(environment("blue:vpn0 red:vpn1", uid="33"), devices, ROOT)
        assert sorted(devices.devices) == ["vpn0", "vpn1"]
        for device in devices.devices.values():
            assert device.is_up
            assert device.is_persistent
            assert device.is_ours
            assert device.owner == 33
            assert device.opened is None

    def test_takes_what_an_admin_made_as_it_is(self, devices: FakeDevices) -> None:
        device = devices.make("vpn0", owner=7)
        device.is_up = False
        set_up(environment(), devices, ROOT)
        assert device.is_up
        assert not device.is_ours
        assert device.owner == 7

    def test_makes_anew_what_a_killed_server_left(self, devices: FakeDevices) -> None:
        """On the old device `ip address add` would fail, and with it the start."""
        left = devices.make("vpn0", is_ours=True)
        set_up(environment(), devices, ROOT)
        assert devices.devices["vpn0"] is not left
        assert devices.devices["vpn0"].is_ours

    def test_keeps_what_it_has_in_a_reload(self, devices: FakeDevices) -> None:
        kept = devices.make("vpn0", is_ours=True)
        set_up(environment() | {RELOADS: "1"}, devices, ROOT)
        assert devices.devices["vpn0"] is kept

    def test_gives_it_to_a_user_by_name(self, devices: FakeDevices) -> None:
        name, uid = pwd.getpwall()[-1].pw_name, pwd.getpwall()[-1].pw_uid
        set_up(environment(uid=name), devices, ROOT)
        assert devices.devices["vpn0"].owner == uid

    def test_refuses_a_user_that_does_not_exist(self, devices: FakeDevices) -> None:
        with pytest.raises(ConfigError, match="uid = no-such-user is not a user of this machine"):
            set_up(environment(uid="no-such-user"), devices, ROOT)
        assert devices.devices == {}

    def test_without_a_tap_does_nothing(self, devices: FakeDevices) -> None:
        set_up(environment(""), devices, ROOT)
        set_up({}, devices, ROOT)
        assert devices.devices == {}

    def test_makes_and_runs_nothing_in_a_check(self, devices: FakeDevices) -> None:
        set_up(environment(commands="exit 1") | {CHECK: "1"}, devices, ROOT)
        assert devices.devices == {}

    def test_refuses_what_is_no_list(self, devices: FakeDevices) -> None:
        with pytest.raises(ConfigError, match="names a device twice"):
            set_up(environment("blue:vpn0 red:vpn0"), devices, ROOT)


class TestCommands:
    def test_run_for_each_tap_in_turn(self, devices: FakeDevices, tmp_path: Path) -> None:
        out = tmp_path / "out"
        commands = f'echo "$VPNWS_TAP $VPNWS_NETWORK $VPNWS_MAC" >> {out}'
        set_up(environment("blue:vpn0 red:vpn1", commands=commands), devices, ROOT)
        mac = devices.read_mac("vpn0")
        assert out.read_text() == f"vpn0 blue {mac}\nvpn1 red {mac}\n"

    def test_do_not_run_again_in_a_reload(self, devices: FakeDevices, tmp_path: Path) -> None:
        out = tmp_path / "out"
        again = environment(commands=f"touch {out}") | {RELOADS: "1"}
        set_up(again, devices, ROOT)
        assert not out.exists()
        assert devices.exists("vpn0")

    def test_that_fail_take_along_what_was_made(self, devices: FakeDevices) -> None:
        devices.make("vpn1")
        commands = 'test "$VPNWS_TAP" = vpn0'
        with pytest.raises(HookError, match="failed for vpn1"):
            set_up(environment("blue:vpn0 red:vpn1", commands=commands), devices, ROOT)
        assert list(devices.devices) == ["vpn1"], "what the admin made stays"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_that_are_stopped_take_along_what_was_made(
        self, devices: FakeDevices, number: signal.Signals
    ) -> None:
        before = signal.getsignal(number)
        # A second signal comes while the first one is obeyed.
        commands = (
            f"kill -{number.value} {os.getpid()}; kill -{number.value} {os.getpid()}; sleep 60"
        )
        with pytest.raises(VpnwsError, match=f"stopped by {number.name} before the TAPs were"):
            with stoppable():
                set_up(environment(commands=commands), devices, ROOT)
        assert devices.devices == {}
        assert signal.getsignal(number) is before


class TestAsAUser:
    def test_takes_a_device_that_it_may_open(
        self, devices: FakeDevices, capsys: pytest.CaptureFixture[str]
    ) -> None:
        devices.make("vpn0")
        set_up(environment(), devices, USER)
        assert not devices.devices["vpn0"].is_ours
        assert capsys.readouterr().err == ""

    def test_says_that_a_device_is_down(
        self, devices: FakeDevices, capsys: pytest.CaptureFixture[str]
    ) -> None:
        devices.make("vpn0").is_up = False
        set_up(environment(), devices, USER)
        assert capsys.readouterr().err == "vpnws: vpn0 is down: ip link set vpn0 up, as root\n"

    def test_cannot_keep_one_that_it_could_make(self, devices: FakeDevices) -> None:
        with pytest.raises(TapError, match="vpn0 must be made before: only root can keep it"):
            set_up(environment(), devices, USER)
        assert devices.devices == {}

    @pytest.mark.parametrize(("is_there", "first"), [(True, "ip link delete vpn0; "), (False, "")])
    def test_says_how_an_admin_makes_one(
        self, devices: FakeDevices, is_there: bool, first: str
    ) -> None:
        if is_there:
            devices.make("vpn0")
        devices.may_open = False
        with pytest.raises(TapError) as caught:
            set_up(environment(), devices, USER)
        assert str(caught.value) == (
            "no permission to open the TAP device vpn0; or have root make it: "
            f"{first}ip tuntap add vpn0 mode tap user 12345; ip link set vpn0 up"
        )

    def test_does_not_look_in_a_reload_when_the_mule_has_it_open(
        self, devices: FakeDevices
    ) -> None:
        devices.make("vpn0")
        devices.open_tap("vpn0")
        set_up(environment() | {RELOADS: "1"}, devices, USER)


class TestProgram:
    def test_succeeds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "set_up", lambda *_: None)
        assert setup.main() == 0

    def test_says_why_it_fails(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("VPNWS_INI_TAP", "a-name-that-is-too-long")
        assert setup.main() == 1
        assert capsys.readouterr().err.startswith("vpnws: cannot start: vpnws-tap = ")
