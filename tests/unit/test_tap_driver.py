"""What a TAP needs of Linux's driver: its numbers on each machine, and /dev/net/tun itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vpnws.errors import TapError, TapPermissionError
from vpnws.tap.driver import check_driver, explain_missing, in_a_container
from vpnws.tap.tun_numbers import from_kernel, to_kernel

ZERO = Path("/dev/zero")
"""A device of the kernel that everybody may read and write, as /dev/net/tun is with Debian."""
DOCKER = "docker run --device /dev/net/tun --cap-add NET_ADMIN"
LXC = "lxc.mount.entry = /dev/net/tun dev/net/tun none bind,create=file 0 0"
LXC_ALLOW = "devices.allow = c 10:200 rwm"


@pytest.mark.parametrize(
    ("machine", "set_iff", "get_iff"),
    [
        ("x86_64", 0x400454CA, 0x800454D2),
        ("aarch64", 0x400454CA, 0x800454D2),
        ("armv7l", 0x400454CA, 0x800454D2),
        ("mips", 0x800454CA, 0x400454D2),
        ("mips64", 0x800454CA, 0x400454D2),
        ("ppc64le", 0x800454CA, 0x400454D2),
    ],
)
def test_the_numbers_are_those_of_the_machine(machine: str, set_iff: int, get_iff: int) -> None:
    assert to_kernel(202, machine) == set_iff
    assert from_kernel(210, machine) == get_iff


def test_a_driver_that_may_be_opened_is_fine() -> None:
    check_driver(ZERO)


def test_without_the_device_a_container_gets_its_exact_lines(tmp_path: Path) -> None:
    with pytest.raises(TapError, match="does not exist: load the kernel's tun module") as caught:
        check_driver(tmp_path / "tun")
    for line in (DOCKER, LXC, LXC_ALLOW):
        assert line in str(caught.value)


def test_a_file_in_its_place_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "tun").touch()
    with pytest.raises(TapError, match="is no device of the kernel"):
        check_driver(tmp_path / "tun")


def test_what_the_mode_allows_and_the_kernel_does_not_a_container_forbids() -> None:
    with pytest.raises(TapPermissionError, match="the container does not allow") as caught:
        check_driver(ZERO, may_open=lambda _: False)
    for line in (DOCKER, LXC, LXC_ALLOW):
        assert line in str(caught.value)


def test_what_the_mode_forbids_an_admin_can_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Path("/dev/console")
    if not console.exists():
        pytest.skip("this machine has no device that others may not open")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TapPermissionError, match="chmod 666 /dev/console"):
        check_driver(console, may_open=lambda _: False)


@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENXIO])
def test_a_kernel_without_the_driver_is_named(code: int) -> None:
    error = explain_missing(OSError(code, os.strerror(code)))
    assert "modprobe tun" in str(error)
    assert explain_missing(OSError(errno.EPERM, "no")) is None


@pytest.mark.parametrize(
    ("cgroups", "key"),
    [
        ("0::/\n", "lxc.cgroup2.devices.allow"),
        ("5:devices:/lxc/a\n1:name=systemd:/\n", "lxc.cgroup.devices.allow"),
        (None, "lxc.cgroup2.devices.allow"),
    ],
)
def test_the_line_is_that_of_the_hosts_cgroups(
    tmp_path: Path, cgroups: str | None, key: str
) -> None:
    if cgroups is not None:
        (tmp_path / "cgroup").write_text(cgroups)
    assert f"and {key} = c 10:200 rwm" in in_a_container(tmp_path / "cgroup")
