"""Unit tests have no capability, whoever runs them."""

from __future__ import annotations

import os
import socket

import pytest

from tests.support.unprivileged import capabilities


def test_a_unit_test_has_no_capability() -> None:
    assert capabilities(os.getpid()) == 0


def test_what_takes_one_fails_for_root_too() -> None:
    with pytest.raises(PermissionError):
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
