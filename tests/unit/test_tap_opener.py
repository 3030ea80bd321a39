"""What names a device, and what each kind of device cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.guest import FakeGuest
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.errors import ConfigError, TapError
from vpnws.tap.opener import Kind, kind_of, open_device

if TYPE_CHECKING:
    from pathlib import Path

URL = "ws://127.0.0.1/"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tap0", Kind.NAMED),
        ("vpn%d", Kind.NAMED),
        ("fd:3", Kind.INHERITED),
        ("/dev/tap0", Kind.BSD),
        ("qemu:/run/vm.sock", Kind.GUEST),
        ("qemu:vm.sock", Kind.GUEST),
    ],
)
def test_a_text_names_one_kind_of_device(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


@pytest.mark.parametrize("text", ["fd:", "fd:x", "fd:-1", "fd:3 ", "fd:99999999"])
def test_a_descriptor_is_a_number(text: str) -> None:
    with pytest.raises(ConfigError, match="is not fd: and the number of a descriptor, like fd:3"):
        kind_of(text)


def test_a_guests_device_is_new_and_cannot_stay(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    device = open_device(f"qemu:{path}")
    assert device.is_new
    with pytest.raises(TapError, match="cannot stay"):
        device.keep()
    FakeGuest(str(path)).leave()
    device.close()
    device.close()
    assert not path.exists()


def test_on_linux_a_device_has_no_path() -> None:
    with pytest.raises(TapError, match="on Linux, name the device, like tap0"):
        open_device("/dev/tap0")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fd:0", "is not for devices: use a descriptor from 3 on"),
        ("fd:9999999", "is not open here"),
    ],
)
def test_a_descriptor_that_cannot_be_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TapError, match=sentence):
        open_device(text)


def test_a_file_is_no_tap(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(TapError, match=f"fd:{file.fileno()} is a file and no TAP"):
            open_device(f"fd:{file.fileno()}")


@pytest.mark.parametrize(
    ("device", "option"),
    [
        ("qemu:/run/vm.sock", ["--address", "10.8.0.2/24"]),
        ("qemu:/run/vm.sock", ["--bridge", "br0"]),
        ("qemu:/run/vm.sock", ["--persist"]),
        ("/dev/tap0", ["--address", "10.8.0.2/24"]),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_the_option(device: str, option: list[str]) -> None:
    with pytest.raises(ConfigError, match=f"{option[0]} cannot be done with {device}: "):
        read(make_parser().parse_args([*option, device, URL]))


@pytest.mark.parametrize(
    ("device", "options"),
    [
        ("qemu:/run/vm.sock", ["--mac", "02:00:00:00:00:0a", "--mtu", "1400"]),
        ("/dev/tap0", ["--mac", "02:00:00:00:00:0a", "--mtu", "1400", "--persist"]),
        ("fd:3", ["--address", "10.8.0.2/24", "--persist"]),
        ("tap0", ["--address", "10.8.0.2/24", "--persist"]),
    ],
)
def test_what_it_can_do_is_taken(device: str, options: list[str]) -> None:
    settings = read(make_parser().parse_args([*options, device, URL]))
    assert settings.tap_name == device
    assert settings.persist is ("--persist" in options)
