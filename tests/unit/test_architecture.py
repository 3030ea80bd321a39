"""The layout is the architecture: who may import whom, what is where, how long things are."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for path in [*ROOT.glob("vpnws/**/*.py"), ROOT / "vpnws_app.py"] if path.is_file()
)
LAYERS = [
    ("vpnws_app",),
    ("vpnws.server", "vpnws.client"),
    ("vpnws.switch", "vpnws.tap"),
    ("vpnws.wire",),
    ("vpnws.config",),
    ("vpnws.errors", "vpnws.sizes", "vpnws.text", "vpnws"),
]
"""From top to bottom: a module imports from its own layer and from those under it."""
SIDE_BY_SIDE = ("vpnws.server", "vpnws.client"), ("vpnws.switch", "vpnws.tap")
"""Rooms of one layer that do not import each other."""
ONE_PLACE = {
    "uwsgi": {"vpnws.server.uwsgi_api"},
    "gevent": {"vpnws.server.gevent_loop"},
    "pytun": {"vpnws.tap.linux"},
    "fcntl": {"vpnws.tap.linux"},
    "mmap": {"vpnws.server.peers.shared_page"},
}
"""A facility and the only modules that may touch it."""
IMPURE = {"os", "socket", "select", "selectors", "ssl", "time", "logging", "random", "threading"}
"""What the core (switch and wire) does not import: it is given bytes and `now`."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            yield module
            yield from (
                f"{module}.{alias.name}"
                for alias in node.names
                if (ROOT / Path(*module.split("."), alias.name)).with_suffix(".py").exists()
            )


def layer_of(module: str) -> int:
    def within(prefix: str) -> bool:
        return module == prefix or (prefix != "vpnws" and module.startswith(prefix + "."))

    return next(
        index for index, prefixes in enumerate(LAYERS) if any(within(prefix) for prefix in prefixes)
    )


def is_from_beside(module: str, imported: str) -> bool:
    """Tell whether two modules are in different rooms of which neither imports the other."""
    for rooms in SIDE_BY_SIDE:
        there = [room for name in (module, imported) for room in rooms if is_within(name, room)]
        if len(set(there)) == 2:
            return True
    return False


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name_of(path)}.{node.name}", node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
class TestEveryModule:
    def test_imports_only_downward(self, path: Path) -> None:
        own = layer_of(name_of(path))
        for imported in imports_of(path):
            if imported == "vpnws_app" or imported.split(".")[0] == "vpnws":
                assert layer_of(imported) >= own, f"{name_of(path)} imports {imported}"
                assert not is_from_beside(name_of(path), imported), f"{path} imports {imported}"

    def test_touches_no_facility_of_another(self, path: Path) -> None:
        for imported in imports_of(path):
            allowed = ONE_PLACE.get(imported.split(".")[0])
            assert allowed is None or name_of(path) in allowed, f"{path} imports {imported}"

    def test_says_its_responsibility_first(self, path: Path) -> None:
        first = (ast.get_docstring(tree_of(path)) or "").split("\n")[0]
        assert first.endswith("."), f"{path}: the docstring's first line is its responsibility"

    def test_is_short(self, path: Path) -> None:
        assert path.read_text().count("\n") <= 300


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if {"switch", "wire"} & set(path.relative_to(ROOT).parts)],
    ids=name_of,
)
def test_the_core_does_no_io(path: Path) -> None:
    assert not {imported.split(".")[0] for imported in imports_of(path)} & IMPURE


def test_functions_are_short() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    bodies = [_body_lines(node) for _, node in functions()]
    assert {name: length for name, length in lengths.items() if length > 60} == {}
    assert statistics.median(bodies) <= 6


def test_public_callables_have_docstrings() -> None:
    missing = [
        name
        for name, node in functions()
        if not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not _is_nested(node, name)
    ]
    assert missing == []


def test_only_the_agreed_things_stand_at_the_top() -> None:
    allowed = {
        "vpnws_app.py", "vpnws", "uwsgi.ini", "tests", "README.md", "requirements.txt",
        "pyproject.toml", "Makefile", "docs", "deploy", "bench", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip
    generated = {"build", "uwsgi.sock"}
    found = {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".") and not path.name.endswith(".egg-info")
    }
    assert found - generated <= allowed
    assert allowed <= found


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines after its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1


def _is_nested(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    """Tell whether a function stands inside another one: those explain themselves."""
    return node.col_offset > 4 or (node.col_offset == 4 and not node.args.args)
