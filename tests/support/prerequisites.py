"""Checks whether this machine can run a test; if not, skips it, or fails it in CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from .tools import tool_path


def require(*tools: str) -> None:
    """Require these commands; `tests/install-tools.sh` installs all but Python's own."""
    missing = [tool for tool in tools if tool_path(tool) is None]
    if missing:
        lacking(f"not installed: {', '.join(missing)} (run tests/install-tools.sh)")


def require_root() -> None:
    """Require root, which namespaces and TAP devices need."""
    if os.geteuid() != 0:
        lacking("needs root (network namespaces, TAP devices)")


def require_tap() -> None:
    """Require root and the kernel's TAP driver."""
    require_root()
    if not Path("/dev/net/tun").exists():
        lacking("needs /dev/net/tun (modprobe tun)")


def lacking(reason: str) -> NoReturn:
    # A test that CI skips is a test that nobody runs.
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI lacks what the test needs: {reason}", pytrace=False)
    pytest.skip(reason)
