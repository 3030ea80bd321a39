"""What both programs' command lines share: manual pages that a judge of such pages accepts."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.prerequisites import require
from tests.support.sources import ROOT
from vpnws.client.program import cli, command_complete
from vpnws.client.program import command_man as client_man
from vpnws.client.program.whole import make_whole_parser
from vpnws.commandline.manual import manual
from vpnws.commandline.parser import Parser, help_of, nearest
from vpnws.ctl.program import man as ctl_man
from vpnws.ctl.program.options import make_parser as make_ctl_parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_DATE = "missing date"
"""A page of the same source is the same page, so it has no date."""
PAGES = {
    "vpnws-client": lambda: (make_whole_parser(), client_man.page()),
    "vpnws-ctl": lambda: (make_ctl_parser(), ctl_man.page(make_ctl_parser())),
}
SHELLS = {
    "bash": (
        'eval "$(vpnws-client completion bash)"; COMP_WORDS=(vpnws-client --no-o); COMP_CWORD=1;'
        ' _vpnws_client; echo "${COMPREPLY[@]}"'
    ),
    # Its own part of completion needs a terminal, so what it would offer is printed.
    "zsh": (
        "compdef() { :; }; compadd() { print -r -- ${(P)2}; };"
        ' eval "$(vpnws-client completion zsh)"; words=(vpnws-client --no-o); CURRENT=2;'
        " _vpnws-client"
    ),
    "fish": "vpnws-client completion fish | source; complete -C 'vpnws-client --no-o'",
}
"""What has each shell complete `vpnws-client --no-o`, and print what it offers."""


def complaints(page: str) -> list[str]:
    """Return what mandoc finds in a page."""
    require("mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"],
        check=False,
        input=page,
        capture_output=True,
        text=True,
    )
    return [line for line in done.stdout.splitlines() if NO_DATE not in line]


def shown(page: str) -> str:
    """Return a page as it is read, with single spaces."""
    require("mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "ascii"], input=page, capture_output=True, text=True, check=True
    )
    plain = re.sub(".\b", "", done.stdout)
    # A word that is hyphenated at the end of a line is whole again.
    return re.sub(r"\s+", " ", re.sub(r"-\n\s+", "-", plain))


def every_action(parser: Parser) -> Iterator[argparse.Action]:
    for each in (parser, *parser.commands.values()):
        yield from (action for _, actions in each.groups for action in actions)


@pytest.mark.parametrize("program", PAGES)
class TestEveryManualPage:
    def test_is_proper(self, program: str) -> None:
        assert complaints(PAGES[program]()[1]) == []

    def test_says_what_the_help_says(self, program: str) -> None:
        parser, page = PAGES[program]()
        text = shown(page)
        for action in every_action(parser):
            for words in (*action.option_strings, help_of(action)):
                assert re.sub(r"\s+", " ", words) in text
        assert {name for name in parser.commands if name not in text} == set()
        for line in (parser.epilog or "").splitlines():
            said = re.sub(r"\s+", " ", line.strip()).removesuffix(":").lower()
            assert said.replace("exit codes", "exit status") in text.lower()


def made(**more: str) -> Parser:
    parser = Parser(prog="it", **more)
    parser.add_argument("--level", default="3", metavar="N", help="how much (default: %(default)s)")
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    return parser


def test_text_that_means_something_to_roff_is_shown_as_it_is() -> None:
    description = ".so /etc/passwd\n'br\nC:\\new -- it's \\fBbold\\fR"
    page = manual(made(description=description), "does it", "1")
    text = shown(page)
    assert "DESCRIPTION .so /etc/passwd 'br C:\\new -- it's \\fBbold\\fR OPTIONS" in text
    assert complaints(page) == []


def test_what_the_help_hides_is_not_in_the_page() -> None:
    text = shown(manual(made(), "does it", "1", ["ip(8)"]))
    assert "--level N how much (default: 3)" in text
    assert "secret" not in text
    assert "SEE ALSO ip(8)" in text


def test_a_list_in_an_epilog_ends_where_prose_begins() -> None:
    page = manual(made(epilog="exit codes:\n  0  fine\n  9  not\n  Behind the list.\n"), "x", "1")
    assert ".TP\n\\fB9\\fR\nnot\n.PP\nBehind the list." in page


@pytest.mark.parametrize(
    ("word", "found"),
    [("--lev", ["--level"]), ("-level", ["--level"]), ("--levle", ["--level"]), ("-l", [])],
)
def test_the_option_that_was_meant_is_found(word: str, found: list[str]) -> None:
    assert nearest(word, ["--level", "--quiet"]) == found


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return what is offered behind `words`, the last of which is being written."""
    capsys.readouterr()
    assert cli.main(["complete", "--", *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("program", ["client", "ctl"])
@pytest.mark.parametrize(
    ("sink", "code", "said"),
    [
        ("| head -c 1 > /dev/null", 0, ""),
        ("> /dev/full", 1, "vpnws-{}: cannot print: No space left on device\n"),
    ],
)
def test_output_that_nobody_takes_is_no_traceback(
    program: str, sink: str, code: int, said: str
) -> None:
    line = f"set -o pipefail; {sys.executable} -m vpnws.{program} man {sink}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, check=False, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (code, said.format(program))


@pytest.mark.parametrize("words", ["status --help", "clean --help", "completion bash", "man"])
def test_a_command_does_not_load_what_a_station_is_made_of(words: str) -> None:
    line = f"{sys.executable} -X importtime -m vpnws.client {words} 2>&1 >/dev/null"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "vpnws.client.program.commands" in done.stdout
    assert "vpnws.client.program.station" not in done.stdout


class TestCompletionOfTheClient:
    def test_options_commands_and_their_words(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert offered(capsys, "--no-o") == ["--no-offload"]
        assert offered(capsys, "st") == ["status"]
        assert offered(capsys, "status", "--j") == ["--json"]
        assert offered(capsys, "completion", "") == ["bash", "fish", "zsh"]
        assert offered(capsys, "--log-format", "") == ["json", "text"]
        # The shell offers files then.
        assert offered(capsys, "--ca", "") == []

    def test_names_of_configuration_files(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("office.toml", "home.toml", "vpnws.ini", "a b.toml"):
            (tmp_path / name).touch()
        monkeypatch.setattr(command_complete, "CONFIG_DIRECTORY", tmp_path)
        assert offered(capsys, "--config", "") == ["home", "office"]
        monkeypatch.setattr(command_complete, "CONFIG_DIRECTORY", tmp_path / "no")
        assert offered(capsys, "--config", "") == []

    @pytest.mark.parametrize(("shell", "script"), SHELLS.items())
    def test_a_shell_completes_an_option(self, tmp_path: Path, shell: str, script: str) -> None:
        require(shell)
        program = tmp_path / "vpnws-client"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vpnws.client "$@"\n')
        program.chmod(0o755)
        done = subprocess.run(
            [shell, "-c", script],
            env={
                "HOME": str(tmp_path),
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["--no-offload"], done.stderr
