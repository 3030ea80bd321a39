"""Privileges are given up for good, and a wrong --run-as is named."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from tests.support.sources import ROOT
from vpnws.client.system.privileges import (
    DEFAULT_USER,
    OVERFLOW_ID,
    User,
    give_up,
    user_to_become,
)
from vpnws.errors import ConfigError, JanitorError

SHOW = """\
import os
from vpnws.client.system.privileges import give_up, user_to_become
give_up(user_to_become(""))
status = dict(line.split(":", 1) for line in open("/proc/thread-self/status").read().splitlines())
print(*(status[name].split()[0] for name in ("Uid", "Gid", "CapPrm", "CapEff", "NoNewPrivs")))
print(len(status["Groups"].split()))
try:
    os.setuid(0)
except PermissionError:
    print("never root again")
"""


class TestWhom:
    def test_root_becomes_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        entry = pwd.getpwnam(DEFAULT_USER)
        assert user_to_become("") == User(DEFAULT_USER, entry.pw_uid, entry.pw_gid)
        assert user_to_become("root") is None

    def test_where_nobody_has_no_entry_its_number_will_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(name: str) -> None:
            raise KeyError(name)

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(pwd, "getpwnam", fail)
        assert user_to_become("") == User(DEFAULT_USER, OVERFLOW_ID, OVERFLOW_ID)
        with pytest.raises(ConfigError, match="there is no user 'vpn' for --run-as"):
            user_to_become("vpn")

    def test_another_user_stays_who_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
        assert user_to_become("") is None
        assert user_to_become("daemon") is None
        with pytest.raises(ConfigError, match="only root can become another user"):
            user_to_become("root")


class TestGivingUp:
    def test_root_that_wants_to_stay_root_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "setresuid", fail)
        give_up(None)

    def test_what_the_kernel_refuses_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "setgroups", fail)
        with pytest.raises(JanitorError, match="not permitted; --run-as root keeps them"):
            give_up(User("nobody", 65534, 65534))

    @pytest.mark.skipif(os.geteuid() != 0, reason="has no privileges to give up")
    def test_nothing_is_left_of_them(self) -> None:
        shown = subprocess.run(
            [sys.executable, "-c", SHOW],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.splitlines()
        nobody = pwd.getpwnam(DEFAULT_USER)
        none = 16 * "0"
        assert shown == [
            f"{nobody.pw_uid} {nobody.pw_gid} {none} {none} 1",
            *("0", "never root again"),
        ]
