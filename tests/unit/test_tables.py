"""The command that writes tables reads the sources rightly, and leaves nothing out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import tables
from tests.support.sources import ROOT, Constant, constants, members, name_of
from vpnws.client.carry.counters import ClientDrop
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from pathlib import Path

IMPORTABLE = ("vpnws.client", "vpnws.config", "vpnws.switch", "vpnws.tap", "vpnws.wire")
"""What can be imported outside uWSGI."""
CONSTANTS = list(constants())


def real_values() -> dict[tuple[str, str], Any]:
    """Return (path, name) -> value for every limit that importing the modules shows."""
    found = {}
    for path in sorted(ROOT.glob("vpnws/**/*.py")):
        if not name_of(path).startswith(IMPORTABLE) or path.name == "__main__.py":
            continue
        source = path.read_text()
        for name, value in vars(import_module(name_of(path))).items():
            if name.lstrip("_").startswith(("MAX_", "MIN_")) and f"\n{name}" in source:
                found[str(path.relative_to(ROOT)), name] = value
    return found


def test_no_limit_is_left_out_and_each_has_its_value() -> None:
    read = {(each.path, each.name): each.value for each in CONSTANTS if each.is_bound()}
    real = {at: value for at, value in real_values().items() if type(value) in (int, float)}
    assert len(real) > 30
    assert {at: read.get(at) for at in real} == real


def test_every_member_is_read() -> None:
    assert [each.value for each in members("Drop", "vpnws/switch")] == [each.value for each in Drop]
    client = members("ClientDrop", "vpnws/client")
    assert [each.value for each in client] == [each.value for each in ClientDrop]


@pytest.mark.parametrize(
    ("name", "path", "says", "bound"),
    [
        ("MAX_TAGS", "vpnws/wire/headers.py", "", True),
        ("_MIN_PART", "vpnws/wire/headers.py", "", True),
        ("WAIT_S", "vpnws/wire/headers.py", "", True),
        ("TURN_BYTES", "vpnws/sizes.py", "One turn.", True),
        ("KEY_BYTES", "vpnws/client/carry/masking.py", "", False),
        ("HEADER_BYTES", "vpnws/wire/ethernet.py", "The header.", False),
        ("_WAIT_S", "vpnws/sizes.py", "", False),
        ("FACTOR", "vpnws/sizes.py", "Twice.", False),
    ],
)
def test_what_a_bound_is(name: str, path: str, says: str, bound: bool) -> None:
    assert Constant(name, 1, path, says).is_bound() is bound


def test_a_page_keeps_what_stands_around_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(tables, "TABLES", {"one": (str(page), lambda: "| new |\n")})
    page.write_text("before\n<!-- one: begin -->\n| old |\n<!-- one: end -->\nafter\n")
    text = "before\n<!-- one: begin -->\n\n| new |\n\n<!-- one: end -->\nafter\n"
    assert tables.written(page) == text
    page.write_text(text)
    assert tables.written(page) == text


def test_a_page_without_a_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    monkeypatch.setattr(tables, "TABLES", {"one": (str(page), lambda: "")})
    with pytest.raises(LookupError, match="has no place for the table of one"):
        tables.written(page)
