"""The layout is the architecture: the rooms, who may import whom, how long things are."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.rooms import LAYERS, ROOMS, SIDE_BY_SIDE
from tests.support.sources import ROOT, modules, name_of, sentence_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = modules()
MAX_FOLDERS = 2
"""How many folders below vpnws/ a module may stand."""
ONE_PLACE = {
    "uwsgi": {"vpnws.server.uwsgi_api"},
    "gevent": {"vpnws.server.gevent_loop"},
    "pytun": {"vpnws.tap.pytun_device"},
    "fcntl": {
        "vpnws.tap.bsd",
        "vpnws.tap.tun_device",
        "vpnws.tap.linux",
        "vpnws.tap.linux_tap",
        "vpnws.tap.netdevice",
        "vpnws.tap.addresses",
        "vpnws.client.janitor.journal",
    },
    "mmap": {"vpnws.server.peers.shared_page"},
    "sqlite3": {"vpnws.server.peers.leases", "vpnws.server.peers.lease_file"},
}
"""A facility and the only modules that may touch it."""
CORE = ("vpnws.switch", "vpnws.wire", "vpnws.lease")
IMPURE = {"os", "socket", "select", "selectors", "ssl", "time", "logging", "random", "threading"}
"""What the core does not import: it is given bytes and `now`."""


def is_ours(module: str) -> bool:
    return module == "vpnws_app" or module.split(".")[0] == "vpnws"


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a module imports anywhere, also for type checking only."""
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


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of nodes of which each leads to every other."""
    reached = {node: reachable(graph, node) for node in graph}
    groups = []
    for node in sorted(graph):
        group = {other for other in reached[node] if node in reached[other]}
        if group and group not in groups:
            groups.append(group)
    return groups


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return the nodes that one step or more lead to."""
    found: set[str] = set()
    ahead = set(graph[start])
    while ahead:
        node = ahead.pop()
        found.add(node)
        ahead |= graph[node] - found
    return found


def layer_of(module: str) -> int:
    def within(prefix: str) -> bool:
        return module == prefix or (prefix != "vpnws" and module.startswith(prefix + "."))

    return next(
        index for index, prefixes in enumerate(LAYERS) if any(within(prefix) for prefix in prefixes)
    )


def is_from_beside(module: str, imported: str) -> bool:
    """Return whether two modules are in different rooms of which neither imports the other."""
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
            if is_ours(imported):
                assert layer_of(imported) >= own, f"{name_of(path)} imports {imported}"
                assert not is_from_beside(name_of(path), imported), f"{path} imports {imported}"

    def test_touches_no_facility_of_another(self, path: Path) -> None:
        for imported in imports_of(path):
            allowed = ONE_PLACE.get(imported.split(".")[0])
            assert allowed is None or name_of(path) in allowed, f"{path} imports {imported}"

    def test_says_its_responsibility_first(self, path: Path) -> None:
        assert sentence_of(path).endswith("."), (
            f"{path}: the docstring's first line is its responsibility"
        )

    def test_is_short(self, path: Path) -> None:
        assert path.read_text().count("\n") <= 300

    def test_stands_in_a_room_that_is_not_deep(self, path: Path) -> None:
        assert len(path.relative_to(ROOT).parts) <= 1 + MAX_FOLDERS + 1


def test_the_rooms_are_these_and_say_so() -> None:
    there = {
        name_of(path): sentence_of(path)
        for path in MODULES
        if path.name == "__init__.py" or path.parent in (ROOT, ROOT / "vpnws")
    }
    del there["vpnws"]
    assert {name: ROOMS.get(name) for name in there} == there
    assert set(ROOMS) == set(there)


def test_no_modules_import_each_other() -> None:
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): names & set(imports_of(path)) for path in MODULES}
    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"e"}}
    assert circles(graph) == [{"b", "c"}, {"e"}]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if name_of(path).startswith(CORE)],
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
        "requirements-dev.txt",
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
    """Return whether a function stands inside another one: those explain themselves."""
    return node.col_offset > 4 or (node.col_offset == 4 and not node.args.args)
