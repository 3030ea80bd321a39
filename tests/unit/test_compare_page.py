"""docs/benchmarks.md says what the comparison does, and takes its results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.attacks.__main__ import attacks_parser
from bench.compare import __main__ as program
from bench.compare import openvpn
from bench.compare.page import BEGIN, END, with_results
from bench.compare.targets import TARGETS
from tests.support.markdown import blocks, commands, table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text()


def test_it_names_every_contestant() -> None:
    assert [row[0].strip("`") for row in table(PAGE, "contestant")] == list(program.CONTESTANTS)


def test_it_names_every_target() -> None:
    assert [row[0] for row in table(PAGE, "target")] == [target.name for target in TARGETS]


def test_its_commands_are_understood() -> None:
    given = [command.text for block in blocks(PAGE) for command in commands(block)]
    parsed = 0
    attacks = [command for command in given if "-m bench.attacks" in command]
    for command in attacks:
        attacks_parser().parse_args(command.partition("-m bench.attacks")[2].split())
    assert len(attacks) == 1
    for command in given:
        if command in attacks:
            continue
        words = re.search(r"(?:-m bench\.compare|COMPARE='|make compare$)([^']*)", command)
        assert words, command
        if "--help" not in command:
            program.make_parser().parse_args(words[1].split())
            parsed += 1
    assert parsed == 3


def test_openvpns_options_are_those_that_it_gets() -> None:
    lines = {
        "TCP": openvpn.OpenVpnTcp.server_lines + openvpn.OpenVpnTcp.client_lines,
        "UDP": openvpn.OpenVpnUdp.server_lines + openvpn.OpenVpnUdp.client_lines,
        "both": openvpn.COMMON,
    }
    for options, where, _ in table(PAGE, "OpenVPN's option"):
        for option in re.findall(r"`([^`]+)`", options):
            assert option in lines[where].splitlines()


class TestResults:
    def test_stand_between_the_marks_and_nothing_else_changes(self) -> None:
        first = with_results(f"a\n{BEGIN}\nold\n{END}\nb\n", "x  \ny", {"cpus": 2})
        assert first.startswith(f"a\n{BEGIN}\n")
        assert first.endswith(f"{END}\nb\n")
        assert "| cpus | 2 |" in first
        assert "```text\nx\ny\n```" in first
        assert "old" not in first
        assert with_results(first, "x  \ny", {"cpus": 2}) == first

    @pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, BEGIN + END + BEGIN + END])
    def test_need_their_marks(self, page: str) -> None:
        with pytest.raises(ValueError, match="the page needs"):
            with_results(page, "", {})

    def test_have_a_place_in_the_page(self) -> None:
        assert "new" in with_results(PAGE, "new", {})
