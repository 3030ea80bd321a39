"""A bridge gets the station's device and nothing else, and what cannot work is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.iproute import FakeSystem
from vpnws.client.janitor.machine import ChangeError
from vpnws.client.system.bridge import join
from vpnws.errors import TapError

if TYPE_CHECKING:
    from pathlib import Path


class Bed:
    def __init__(self, directory: Path) -> None:
        self.system = FakeSystem.home()
        self.system.addresses |= {"br0": [], "wlan0": [], "eth1": []}
        self.system.bridges.add("br0")
        self.machine = self.system.machine(directory)
        self.devices = directory / "class"
        (self.devices / "wlan0/phy80211").mkdir(parents=True)
        (self.devices / "eth1").mkdir()

    def join(self, bridge: str) -> None:
        join(self.machine, "tap0", bridge, self.devices)


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def test_the_device_joins_the_bridge(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    bed.system.masters["eth1"] = "br0"
    bed.join("br0")
    assert bed.system.masters["tap0"] == "br0"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("br9", "there is no bridge br9: make it (ip link add br9 type bridge)"),
        ("eth1", "that device is not a bridge; make one, and put that device into it"),
        ("eth0", "and a card that has an address (192.168.5.2/24) is not put into one"),
        ("wlan0", "a Wi-Fi card cannot be in a bridge"),
        ("wlan0", "use the server's router mode"),
        ("eth2", "name the bridge that it is in, br0"),
    ],
)
def test_what_is_no_bridge_is_told_what_it_is(bed: Bed, device: str, sentence: str) -> None:
    bed.system.addresses["eth2"] = []
    bed.system.masters["eth2"] = "br0"
    with pytest.raises(TapError) as caught:
        bed.join(device)
    assert sentence in str(caught.value)
    assert "tap0" not in bed.system.masters


def test_a_card_in_the_bridge_that_kept_its_address_is_named(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.system.masters["eth0"] = "br0"
    bed.join("br0")
    assert "eth0 is in br0 and has the address 192.168.5.2/24" in caplog.text
    assert "ip address add 192.168.5.2/24 dev br0" in caplog.text
    assert bed.system.addresses["eth0"][0] == "192.168.5.2/24"


def test_a_bridge_with_nobody_in_it_is_named(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    bed.join("br0")
    assert "nothing but tap0 is in br0: put the LAN's card into it; a Wi-Fi card" in caplog.text
    (bed.devices / "wlan0/phy80211").rmdir()
    caplog.clear()
    bed.join("br0")
    assert "put the LAN's card into it (ip link set eth0 master br0)" in caplog.text


def test_without_the_privilege_it_says_what_root_types(bed: Bed) -> None:
    bed.system.is_denied = True
    with pytest.raises(ChangeError, match="ip link set master br0 dev tap0") as caught:
        bed.join("br0")
    assert caught.value.lacks_permission
