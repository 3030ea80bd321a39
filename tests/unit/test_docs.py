"""What the documentation says of the code is true: tables, steps, settings, commands, links."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support import tables
from tests.support.markdown import blocks, commands, links, slugs, table
from tests.support.sources import ROOT, constants, members
from tests.support.tables import INI, INI_DEFAULTS, ITEMS
from vpnws.client.program.commands import find
from vpnws.client.program.parser import make_parser
from vpnws.config import placeholder_names
from vpnws.ctl.program.options import make_parser as make_ctl_parser

if TYPE_CHECKING:
    from pathlib import Path

DESIGN = ROOT / "docs" / "design.md"
SETTINGS = ROOT / "docs" / "settings.md"
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MAX_DESIGN_WORDS = 2500
"""What a newcomer reads in ten minutes."""


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_the_tables_are_what_the_code_says(page: Path) -> None:
    assert page.read_text() == tables.written(page), "run python -m tests.support.tables"


def test_every_bound_says_what_happens_when_it_is_reached() -> None:
    silent = [
        f"{each.path}: {each.name}" for each in constants() if each.is_bound() and not each.says
    ]
    assert silent == [], "write what happens in a string under the constant"


def test_every_reason_for_a_drop_says_where_it_is_counted_and_why() -> None:
    for reason in members("Drop", "vpnws/switch"):
        assert re.match(r"(Ingress|Egress): .+\.$", reason.says), reason.value
    for reason in members("ClientDrop", "vpnws/client"):
        assert reason.says.endswith("."), reason.value


def test_the_design_is_read_in_ten_minutes() -> None:
    assert len(DESIGN.read_text().split()) <= MAX_DESIGN_WORDS


def test_the_design_leads_to_every_topic() -> None:
    topics = {f"topics/{page.name}" for page in ROOT.glob("docs/topics/*.md")}
    assert topics <= {target.partition("#")[0] for target in links(DESIGN.read_text())}


def test_where_the_ini_gives_a_default_it_is_configs() -> None:
    for name, given in INI_DEFAULTS.items():
        assert ITEMS[name].default in ("", given) or str(ITEMS[name].default) == given


def test_the_options_worth_changing_stand_in_the_ini() -> None:
    given = dict(re.findall(r"^([a-z0-9-]+) = (.+)$", INI, re.MULTILINE))
    for option, value, _ in table(SETTINGS.read_text(), "option"):
        name = option.strip("`")
        assert name in given
        assert given[name] == value or name == "workers"


def test_the_way_of_a_frame_has_the_steps_that_the_code_names() -> None:
    told = re.findall(r"^(\d)\. \*\*(\w+)", DESIGN.read_text(), re.MULTILINE)
    source = (ROOT / "vpnws/switch/forwarding.py").read_text()
    named = set(re.findall(r"# (\d) (\w+)", source))
    assert told == sorted(named)
    assert [number for number, _ in told] == list("12345678")


def test_no_two_nginx_locations_with_different_rights_share_a_password_file() -> None:
    """A station chooses its location by the URL, so it would choose among those rights."""
    shown = [block.text for page in PAGES for block in blocks(page.read_text())]
    config = "\n".join([(ROOT / "deploy/nginx.conf").read_text(), *shown])
    rights: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for _, body in re.findall(r"location = (\S+) \{\n(.*?)^ *\}", config, re.DOTALL | re.MULTILINE):
        granted = tuple(re.findall(r"uwsgi_param +(VPNWS_\w+) +(\S+);", body))
        for file in re.findall(r"auth_basic_user_file +(\S+);", body):
            rights.setdefault(file, set()).add(granted)
    assert len(rights) >= 8
    assert {file for file, each in rights.items() if len(each) > 1} == set()


def test_what_tests_is_not_installed_with_what_runs() -> None:
    runs, tests = (
        set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))
        for name in REQUIREMENTS
    )
    server = {"uwsgi", "gevent", "python-pytun", "websockets", "msgspec", "prometheus-client"}
    assert runs == {*server, "rich"}
    assert tests
    assert not runs & tests


def test_every_requirement_has_its_reason() -> None:
    lists = "".join((ROOT / name).read_text() for name in REQUIREMENTS)
    required = re.findall(r"^([a-z0-9-]+)==", lists, re.MULTILINE)
    assert [row[0].strip("`") for row in table(DESIGN.read_text(), "package")] == required


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestEveryPage:
    def test_its_links_lead_somewhere(self, page: Path) -> None:
        for target in links(page.read_text()):
            if "://" in target:
                continue
            file, _, heading = target.partition("#")
            there = (page.parent / file) if file else page
            assert there.exists(), target
            assert not heading or heading in slugs(there.read_text()), target

    def test_its_client_commands_are_understood(self, page: Path) -> None:
        for words in commands_of(page):
            if words[0].endswith("vpnws-client") and "--help" not in words:
                ends = [words.index(end) for end in ("|", ">", "&") if end in words]
                given = words[1 : min(ends, default=len(words))]
                command = find(given)
                parser = command.parser() if command else make_parser()
                parser.parse_intermixed_args(given[1:] if command else given)

    def test_its_ctl_commands_are_understood(self, page: Path) -> None:
        for words in commands_of(page):
            if words[0].endswith("vpnws-ctl") and "--help" not in words:
                ends = [words.index(end) for end in ("|", ">", "&") if end in words]
                make_ctl_parser().parse_args(words[1 : min(ends, default=len(words))])

    def test_it_names_no_setting_that_does_not_exist(self, page: Path) -> None:
        text = "\n".join(block.text for block in blocks(page.read_text()))
        named = re.findall(r"set-placeholder[ =]+(vpnws-[a-z-]+)=", text)
        assert set(named) <= set(placeholder_names())

    def test_the_files_of_the_project_that_it_names_exist(self, page: Path) -> None:
        named = re.findall(
            r"(?<![\w/.-])((?:vpnws|deploy|docs|tests)/[\w/]+\.[a-z]+)\b", page.read_text()
        )
        assert [name for name in named if not (ROOT / name).exists()] == []


def commands_of(page: Path) -> list[list[str]]:
    return [
        shlex.split(command.text)
        for block in blocks(page.read_text())
        for command in commands(block)
    ]
