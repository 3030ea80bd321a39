"""A real LXC container: what the client says is missing there, and that those lines give it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.prerequisites import require, require_tap
from tests.support.uwsgi import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns

CONFIGURATION = f"""\
lxc.uts.name = vpnws
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed
lxc.autodev = 1
lxc.mount.entry = {REPOSITORY} project none bind,ro 0 0
"""
SYSTEM = ("usr", "lib", "lib64", "bin")
FOLDERS = (*SYSTEM, "proc", "sys", "dev", "tmp", "project")
NULL_AND_SO_ON = ("c 1:3 rwm", "c 1:5 rwm", "c 1:8 rwm", "c 1:9 rwm")
PROGRAM = """
import sys
sys.path.insert(0, "/project")
from vpnws.errors import TapError
from vpnws.tap.linux import open_tap
try:
    print("opened", open_tap("tap7").name)
except TapError as error:
    print(type(error).__name__, error)
"""
LXC_LINE = re.compile(r"lxc\.\S+ = .*?(?= and |;|$)")


class Container:
    """A container with this machine's programs and a few devices; each run is a new one."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "root"
        for folder in FOLDERS:
            (self._root / folder).mkdir(parents=True)
        self._directory = directory
        self._number = 0

    def run(self, *lines: str) -> str:
        """Open a TAP in it, with these `lines` in its configuration; return what is printed."""
        self._number += 1
        name = f"vpnws{self._number}"
        (self._directory / name).mkdir()
        file = self._directory / f"{name}.conf"
        file.write_text("\n".join([*self._configuration(), *lines, ""]))
        place = ("-n", name, "-f", str(file), "-P", str(self._directory))
        done = processes.run(
            ["lxc-execute", *place, "--", "/usr/bin/python3", "-B", "-c", PROGRAM], check=False
        )
        return done.stdout + done.stderr

    def _configuration(self) -> list[str]:
        version = "cgroup" if ":devices:" in _own_cgroups() else "cgroup2"
        return [
            *CONFIGURATION.splitlines(),
            f"lxc.rootfs.path = dir:{self._root}",
            *(f"lxc.mount.entry = /{each} {each} none bind,ro 0 0" for each in SYSTEM),
            f"lxc.{version}.devices.deny = a",
            *(f"lxc.{version}.devices.allow = {each}" for each in NULL_AND_SO_ON),
        ]


def _own_cgroups() -> str:
    return processes.run(["cat", "/proc/self/cgroup"]).stdout


def test_the_lines_that_the_client_names_give_a_container_its_device(tmp_path: Path) -> None:
    require_tap()
    require("lxc-execute", "/usr/bin/python3")
    tmp_path.chmod(0o755)
    container = Container(tmp_path)
    said = container.run()
    assert said.startswith("TapError /dev/net/tun does not exist: ")
    mount, allow = LXC_LINE.findall(said)
    said = container.run(mount)
    assert said.startswith("TapPermissionError the container does not allow /dev/net/tun: ")
    assert LXC_LINE.findall(said) == [mount, allow]
    assert container.run(mount, allow).strip() == "opened tap7"
