"""The systemd units: systemd finds nothing wrong with them, and they lock the switch in."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.prerequisites import require
from tests.support.sources import constants
from tests.support.tools import tool_path
from tests.support.uwsgi import BINARY, REPOSITORY
from vpnws.client.program.exits import Exit
from vpnws.client.service.places import SYSTEM
from vpnws.client.service.systemd import WATCHDOG_SHARE
from vpnws.config_reader import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = REPOSITORY / "deploy"
SERVICE, TAP_SERVICE = DEPLOY / "vpnws.service", DEPLOY / "vpnws-tap@.service"
CLIENT_SERVICE = DEPLOY / "vpnws-client@.service"
UNITS = (SERVICE, TAP_SERVICE, CLIENT_SERVICE)
INSTALLED = "/opt/vpnws/.venv/bin/"
SITE = (DEPLOY / "vpnws.ini").read_text()
INSTALL_PAGE = (REPOSITORY / "docs" / "install.md").read_text()
CLIENT_PAGE = (REPOSITORY / "docs" / "client" / "service.md").read_text()

LOCKS = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "DevicePolicy": "closed",
    "DeviceAllow": "/dev/net/tun rw",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallFilter": "@system-service",
}


@pytest.fixture(scope="module")
def units() -> Iterator[Path]:
    """Yield a directory with the units; in it uWSGI is where these tests have theirs."""
    require("systemd-analyze")
    with tempfile.TemporaryDirectory(prefix="vpnws-units-") as name:
        for unit in UNITS:
            (Path(name) / unit.name).write_text(
                unit.read_text().replace(INSTALLED, f"{BINARY.parent}/")
            )
        yield Path(name)


def analyze(*words: str | Path) -> str:
    """Run systemd-analyze and return what it prints; it must find nothing to complain of."""
    tool = tool_path("systemd-analyze") or "systemd-analyze"
    done = processes.run([tool, *words], env={"SYSTEMD_COLORS": "0"})
    return done.stdout + done.stderr


def settings_of(unit: Path) -> list[tuple[str, str]]:
    """Return a unit's lines `name=value`, in order."""
    pairs = (line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line[1:])
    return [(name, value) for name, value in pairs if not name.startswith("#")]


def test_systemd_finds_nothing_wrong(units: Path) -> None:
    assert analyze("verify", "--man=no", *(units / unit.name for unit in UNITS)) == ""


def test_a_wrong_line_would_be_found(units: Path) -> None:
    wrong = units / "wrong.service"
    wrong.write_text((units / SERVICE.name).read_text() + "[Service]\nProtectSistem=yes\n")
    assert "ProtectSistem" in analyze("verify", "--man=no", wrong)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_locks_the_switch_in(unit: Path) -> None:
    given = settings_of(unit)
    for name, value in LOCKS.items():
        assert (name, value) in given


def test_the_switch_has_no_capability_and_the_device_maker_one() -> None:
    assert ("CapabilityBoundingSet", "") in settings_of(SERVICE)
    assert ("User", "vpnws") in settings_of(SERVICE)
    assert ("CapabilityBoundingSet", "CAP_NET_ADMIN") in settings_of(TAP_SERVICE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_page_tells_the_exposure_that_systemd_computes(units: Path, unit: Path) -> None:
    pages = INSTALL_PAGE + CLIENT_PAGE
    told = dict(re.findall(r"^\| `(vpnws\S*\.service)` \| ([\d.]+) \|", pages, re.MULTILINE))
    report = analyze("security", "--offline=true", "--no-pager", units / unit.name)
    (level,) = re.findall(r"exposure level for \S+: ([\d.]+)", report)
    # Other versions of systemd weigh a little differently.
    assert abs(float(level) - float(told[unit.name])) <= 0.5
    # A client changes the machine's network, and becomes another user.
    assert float(level) < (3.5 if unit == CLIENT_SERVICE else 3)


def test_the_client_unit_and_its_page_name_the_same_files() -> None:
    given = settings_of(CLIENT_SERVICE)
    assert ("ExecStart", f"{INSTALLED}vpnws-client --config %i") in given
    assert ("RuntimeDirectory", SYSTEM.name) in given
    assert SYSTEM.parent == Path("/run")
    final = {str(code.value) for code in (Exit.USAGE, Exit.TAP_PERMISSION, Exit.REFUSED)}
    assert set(dict(given)["RestartPreventExitStatus"].split()) == final
    names = ("vpnws-client@.service", "10-vpnws-client.network", "vpnws-client-networkmanager.conf")
    for name in names:
        assert f"deploy/{name}" in CLIENT_PAGE


def test_no_wait_of_the_client_is_as_long_as_its_watchdog() -> None:
    watchdog_s = int(dict(settings_of(CLIENT_SERVICE))["WatchdogSec"])
    waits = {
        f"{each.path}: {each.name}": each.value
        for each in constants()
        if each.path.startswith("vpnws/client/") and re.search("(TIMEOUT|WAIT)_S$", each.name)
    }
    assert waits
    assert {
        name for name, wait_s in waits.items() if wait_s >= watchdog_s * WATCHDOG_SHARE
    } == set()


def test_nginx_finds_the_socket_where_the_site_puts_it() -> None:
    (path,) = re.findall(r"^set-placeholder = vpnws-socket=(.+)$", SITE, re.MULTILINE)
    assert f"server unix:{path};" in (DEPLOY / "nginx.conf").read_text()
    assert ("RuntimeDirectory", Path(path).parent.name) in settings_of(SERVICE)
    assert Path(path).parent.parent == Path("/run")


def test_the_sites_settings_are_settings_and_so_are_those_in_comments() -> None:
    given = dict(re.findall(r"^#?set-placeholder = (vpnws-[a-z-]+)=(.*)$", SITE, re.MULTILINE))
    assert read_settings(given).tap == (("default", "vpn0"),)
    shown = dict(re.findall(r"^set-placeholder = (vpnws-[a-z-]+)=(.*)$", SITE, re.MULTILINE))
    assert read_settings(shown).mode == "switch"
    assert shown["vpnws-http"] == ""


def test_the_units_and_the_page_name_the_same_files() -> None:
    words = dict(settings_of(SERVICE))["ExecStart"].split()
    assert words == [f"{INSTALLED}uwsgi", "--ini", "/etc/vpnws/vpnws.ini"]
    reload = [value for name, value in settings_of(SERVICE) if name == "ExecReload"]
    check = f"{INSTALLED}python -m vpnws.server.check /etc/vpnws/vpnws.ini"
    assert reload == [check, "/bin/kill -HUP $MAINPID"]
    assert "ini = /opt/vpnws/uwsgi.ini" in SITE
    for name in ("vpnws.service", "vpnws-tap@.service", "vpnws.ini", "vpnws.sysusers"):
        assert f"deploy/{name}" in INSTALL_PAGE


def test_sysusers_takes_its_file() -> None:
    require("systemd-sysusers")
    tool = tool_path("systemd-sysusers") or "systemd-sysusers"
    with tempfile.TemporaryDirectory(prefix="vpnws-sysusers-") as root:
        processes.run([tool, f"--root={root}", "--dry-run", str(DEPLOY / "vpnws.sysusers")])
