"""The check of a site's ini: how uWSGI is started for it, and what of its words is shown."""

from __future__ import annotations

import pytest

from vpnws.server.check import check_environment, command, main, worth_showing
from vpnws.server.ini import CHECK, RELOADS

OURS = "2026-01-01 00:00:00 vpnws[start] CRITICAL cannot start: vpnws-age = 'soon' is not a number"
OUTPUT = f"*** Starting uWSGI ***\n\n{OURS}\nmapped 5 bytes\nVACUUM\n"


def test_it_binds_nothing_and_removes_no_pidfile() -> None:
    words = command("/etc/vpnws/vpnws.ini", ["--workers", "2"])
    assert words[1:5] == ["--ini", "/etc/vpnws/vpnws.ini", "--workers", "2"]
    assert words[5:] == [
        "--no-server",
        *(f"--{name}=" for name in ("pidfile", "pidfile2", "safe-pidfile", "safe-pidfile2")),
    ]


def test_it_takes_nothing_over_from_a_uwsgi_around_it() -> None:
    environment = check_environment({"PATH": "/bin", "UWSGI_EMPEROR_FD": "7", RELOADS: "3"})
    assert environment == {"PATH": "/bin", CHECK: "1", RELOADS: "0"}


def test_of_a_failure_our_own_sentence_is_shown() -> None:
    assert worth_showing(OUTPUT, is_good=False) == [OURS]


def test_of_another_failure_the_last_words_are_shown() -> None:
    lines = [f"line {number}" for number in range(20)]
    assert worth_showing("\n\n".join(lines), is_good=False) == lines[-5:]


def test_of_a_success_only_warnings_are_shown() -> None:
    warning = "vpnws[start] WARNING reload-on-rss is set: ..."
    assert worth_showing(f"one\n{warning}\ntwo\n", is_good=True) == [warning]


@pytest.mark.parametrize("words", [[], ["--ini"]])
def test_it_says_how_it_is_used(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("usage: ")
