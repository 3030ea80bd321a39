"""What the documentation says of the code is true: settings, modules, bounds, drops, links."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.markdown import blocks, commands, links, slugs, table
from vpnws.client.carry import counters
from vpnws.client.program import exits
from vpnws.client.program.options import make_parser
from vpnws.config import Settings, placeholder_names
from vpnws.switch import drop, relay, switch

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DESIGN = ROOT / "docs" / "design.md"
SETTINGS = ROOT / "docs" / "settings.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted([*ROOT.glob("vpnws/**/*.py"), ROOT / "vpnws_app.py"])
INI = (ROOT / "uwsgi.ini").read_text()
INI_DEFAULTS = dict(re.findall(r"^set-placeholder = (vpnws-[a-z-]+)=(.+)$", INI, re.MULTILINE))
ITEMS = {name: Settings.__dataclass_fields__[item] for name, item in placeholder_names().items()}

ARITHMETIC = (ast.Constant, ast.BinOp, ast.operator, ast.Name, ast.expr_context)
BOUND = re.compile(r"(MAX|MIN)_")


def constants_of(path: Path) -> dict[str, Any]:
    """Return a module's constants that are numbers, without importing it (uwsgi may be absent)."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if all(isinstance(part, ARITHMETIC) for part in ast.walk(node.value)):
            # A name that stands for no number, such as another constant's, is none of ours.
            with suppress(NameError):
                found[ast.unparse(target)] = eval(ast.unparse(node.value), {}, found)
    return found


def number(text: str) -> float:
    return float(text.split()[0])


def unquoted(text: str) -> str:
    return text.replace("`", "")


def default_of(name: str) -> str:
    """Return a setting's default: the ini's own for those that only it reads."""
    default = ITEMS[name].default
    if isinstance(default, bool):
        return "on" if default else "off"
    return str(default) if default not in ("", ()) else INI_DEFAULTS.get(name, "")


def allowed_of(name: str) -> str:
    meta = ITEMS[name].metadata
    if "low" in meta:
        return f"{meta['low']} to {meta['high']}"
    if isinstance(ITEMS[name].default, bool):
        return "on, off"
    return ", ".join(meta.get("choices", ("any",)))


def setting_row(name: str) -> tuple[str, ...]:
    meta = ITEMS[name].metadata
    return (name, meta["unit"], default_of(name), allowed_of(name), unquoted(meta["sentence"]))


def test_the_settings_table_is_what_config_has() -> None:
    rows = [tuple(map(unquoted, row)) for row in table(SETTINGS.read_text(), "setting")]
    assert rows == [setting_row(name) for name in placeholder_names()]


def test_where_the_ini_gives_a_default_it_is_configs() -> None:
    for name, given in INI_DEFAULTS.items():
        assert ITEMS[name].default in ("", given) or str(ITEMS[name].default) == given


def test_the_options_worth_changing_stand_in_the_ini() -> None:
    given = dict(re.findall(r"^([a-z0-9-]+) = (.+)$", INI, re.MULTILINE))
    for option, value, _ in table(SETTINGS.read_text(), "option"):
        name = unquoted(option)
        assert name in given
        assert given[name] == value or name == "workers"


def test_the_module_map_names_every_module_and_no_other() -> None:
    named = re.findall(r"^(vpnws[\w/]*(?:\.py|/)) ", DESIGN.read_text(), re.MULTILINE)
    there = [str(path.relative_to(ROOT)).replace("__init__.py", "") for path in SOURCES]
    assert sorted(named) == sorted(there)


def test_every_bound_in_the_table_has_that_value() -> None:
    for name, value, where, _ in table(DESIGN.read_text(), "bound"):
        bound, path = unquoted(name), unquoted(where)
        found = ITEMS[bound].default if bound in ITEMS else constants_of(ROOT / path)[bound]
        assert number(value) == found, f"{path}: {bound}"


def test_every_bound_in_the_code_is_in_the_table() -> None:
    told = {(unquoted(row[0]), unquoted(row[2])) for row in table(DESIGN.read_text(), "bound")}
    there = {
        (bound, str(path.relative_to(ROOT)))
        for path in SOURCES
        for bound in constants_of(path)
        if BOUND.match(bound)
    }
    assert there - told == set()


def test_every_setting_that_bounds_something_is_in_the_table() -> None:
    told = {unquoted(row[0]) for row in table(DESIGN.read_text(), "bound")}
    bounding = re.compile(r"-(max|limit|items)\b|-max-")
    assert {name for name in ITEMS if bounding.search(name)} <= told


def test_every_reason_for_a_drop_is_told() -> None:
    text = DESIGN.read_text()
    in_switch = [unquoted(row[0]) for row in table(text, "in the switch")]
    in_client = [unquoted(row[0]) for row in table(text, "in the client")]
    assert in_switch == [reason.value for reason in drop.Drop]
    assert in_client == [reason.value for reason in counters.Drop]


def test_the_forwarding_process_has_the_steps_that_the_code_numbers() -> None:
    _, _, text = DESIGN.read_text().partition("## The forwarding process")
    told = re.findall(r"^(\d)\. \*\*", text.partition("\n## ")[0], re.MULTILINE)
    source = inspect.getsource(switch) + inspect.getsource(relay)
    numbered = set(re.findall(r"# (\d)$", source, re.MULTILINE))
    assert told == sorted(numbered) == list("12345678")


def test_every_requirement_has_its_reason() -> None:
    required = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert [unquoted(row[0]) for row in table(DESIGN.read_text(), "package")] == required


def test_the_exit_codes_are_the_clients() -> None:
    rows = [tuple(row) for row in table(README.read_text(), "code")]
    assert rows == [(str(code.value), meaning) for code, meaning in exits.MEANINGS.items()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
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
                make_parser().parse_args([word for word in words[1:] if word != "&"])

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
