"""What uwsgi.ini and the application tell each other: one place, and the same names in both."""

from __future__ import annotations

import re

import pytest

from tests.support.sources import ROOT, modules
from vpnws.server import ini

TEXT = (ROOT / "uwsgi.ini").read_text()


def variable(name: str) -> str:
    return "VPNWS_INI_" + name.replace("-", "_").upper()


def test_uwsgi_ini_tells_just_the_settings_that_it_uses_and_the_user() -> None:
    told = re.findall(r"^env = (VPNWS_INI_\w+)=(\S+)$", TEXT, re.MULTILINE)
    settings = {variable(name): f"%(vpnws-{name})" for name in ini.SETTINGS}
    assert dict(told) == settings | {"VPNWS_INI_UID": "%(uid)", "VPNWS_INI_GID": "%(gid)"}


def test_each_of_them_has_a_value_where_nobody_gives_one() -> None:
    """A placeholder without a value would reach uWSGI's options as its own name."""
    given = set(re.findall(r"^set-placeholder = vpnws-([\w-]+)=", TEXT, re.MULTILINE))
    assert set(ini.SETTINGS) <= given


def test_uwsgi_ini_uses_no_other_setting() -> None:
    used = set(re.findall(r"%\(vpnws-([\w-]+)\)", TEXT))
    assert used == set(ini.SETTINGS)


def test_it_sees_whether_it_can_listen_before_it_makes_a_device() -> None:
    programs = re.findall(r"^exec-asap = .* -m (\S+) ", TEXT, re.MULTILINE)
    assert programs == ["vpnws.server.listen", "vpnws.server.uplink.setup"]


def test_it_removes_the_devices_of_a_start_that_did_not_go_well() -> None:
    (test,) = re.findall(
        r"^exec-as-user-atexit = test (.*) \|\| .* -m vpnws\S+undo;", TEXT, re.MULTILINE
    )
    assert test == f'"${ini.STARTED}" = "${{{ini.RELOADS}:-0}}"'


def test_no_other_module_names_the_variables() -> None:
    naming = [path.name for path in modules() if "VPNWS_INI_" in path.read_text()]
    assert naming == ["ini.py"]


@pytest.mark.parametrize(
    ("environment", "seen"),
    [
        ({"VPNWS_INI_FDB_ITEMS": "64"}, "64"),
        ({"VPNWS_INI_FDB_ITEMS": ""}, ""),
        ({"VPNWS_INI_FDB_ITEMS": "%(vpnws-fdb-items)"}, ""),
        ({"VPNWS_INI_TAP": "vpn0"}, None),
    ],
)
def test_what_it_saw_of_a_setting(environment: dict[str, str], seen: str | None) -> None:
    assert ini.seen(environment, "fdb-items") == seen
