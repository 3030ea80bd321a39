"""What the server's user may not read or open is found before anything is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vpnws.errors import ConfigError
from vpnws.server import access
from vpnws.server.access import check_access
from vpnws.tap.contract import DEVICE

SETTINGS = {"VPNWS_INI_TAP": "vpn0"}


def denied(monkeypatch: pytest.MonkeyPatch, *places: str) -> None:
    """Let the user that runs this, who may be root, have no access to `places`."""
    monkeypatch.setattr(os, "access", lambda place, _mode: str(place) not in places)


def refusal() -> str:
    with pytest.raises(ConfigError) as caught:
        check_access(SETTINGS)
    return str(caught.value)


def test_nothing_is_said_of_a_user_that_may_do_all(monkeypatch: pytest.MonkeyPatch) -> None:
    denied(monkeypatch)
    check_access(SETTINGS)


def test_a_python_in_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    denied(monkeypatch, os.__file__)
    assert f"may not read {os.__file__}, a part of the server's Python" in refusal()
    assert "PYTHON=/usr/bin/python3 make clean .venv/ready" in refusal()


def test_a_project_in_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    project = str(access.PROJECT)
    denied(monkeypatch, project)
    assert f"may not read {project}: put the project where that user may read it" in refusal()


def test_tap_devices_that_only_root_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _path: True)
    denied(monkeypatch, DEVICE)
    assert f"may not open {DEVICE}, which vpnws-tap needs" in refusal()
    check_access({"VPNWS_INI_TAP": ""})
