"""Reads vpnws's sources without importing them (uwsgi may be absent): sentences and constants."""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT: Final = Path(__file__).parents[2]
_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
}
_LIMIT: Final = re.compile(r"_?(MAX|MIN)_")
_SIZES: Final = ("BYTES", "FRAMES")


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a module that is a number, with the text under it."""

    name: str
    value: float
    path: str
    says: str

    def is_bound(self) -> bool:
        """Return whether it bounds something, by its name and its module.

        A limit (MAX_ or MIN_) and a time do, wherever they stand. A size does outside the wire
        formats, when a text says what for.
        """
        if _LIMIT.match(self.name):
            return True
        if self.name.startswith("_"):
            return False
        is_size = self.name.endswith(_SIZES) and not self.path.startswith("vpnws/wire/")
        return self.unit == "s" or (is_size and self.says != "")

    @property
    def unit(self) -> str:
        """The last word of the name, which is a constant's unit: `s`, `bytes`, `frames`."""
        return self.name.rpartition("_")[2].lower()


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an enum, with the text under it."""

    value: str
    says: str


def modules() -> list[Path]:
    """Return every module of vpnws, and the one that uWSGI loads."""
    return sorted([*ROOT.glob("vpnws/**/*.py"), ROOT / "vpnws_app.py"])


def name_of(path: Path) -> str:
    """Return a module's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text())


def sentence_of(path: Path) -> str:
    """Return the first line of a module's docstring, which is its one responsibility."""
    return (ast.get_docstring(tree_of(path)) or "").split("\n")[0]


def constants() -> Iterator[Constant]:
    """Yield every constant of every module that is a number."""
    for path in modules():
        where = str(path.relative_to(ROOT))
        for name, value, says in _assigned(tree_of(path).body):
            number = _number(value, path)
            if number is not None:
                yield Constant(name, number, where, says)


def members(enum: str, below: str) -> list[Member]:
    """Return the members of the one class `enum` in the folder `below`. Raises LookupError."""
    for path in sorted((ROOT / below).glob("**/*.py")):
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and node.name == enum:
                return [
                    Member(ast.literal_eval(value), says)
                    for _, value, says in _assigned(node.body)
                    if isinstance(value, ast.Constant)
                ]
    raise LookupError(f"there is no class {enum} in {below}")


def _assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr, str]]:
    """Yield (name, value, the text under it) for each plain assignment."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(target, ast.Name) and node.value is not None:
            yield target.id, node.value, _text(after)


def _text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def _number(node: ast.expr | None, path: Path) -> Any:
    """Work out a number from literals and constants, imported ones too; None if it is not one."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in (int, float) else None
    if isinstance(node, ast.Name):
        return _number_named(node.id, path)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = _imported(path).get(node.value.id)
        return _number_named(node.attr, module) if module else None
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _number(node.left, path), _number(node.right, path)
        return None if None in (left, right) else _OPERATORS[type(node.op)](left, right)
    return None


def _number_named(name: str, path: Path) -> Any:
    own = {known: value for known, value, _ in _assigned(tree_of(path).body)}
    if name in own:
        return _number(own[name], path)
    module = _imported(path).get(name)
    return _number_named(name, module) if module else None


@cache
def _imported(path: Path) -> dict[str, Path]:
    """Return name -> the module of vpnws that it is, or that it comes from."""
    found = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                base = ROOT / Path(*node.module.split("."))
                for file in ((base / alias.name).with_suffix(".py"), base.with_suffix(".py")):
                    if file.exists():
                        found[alias.name] = file
                        break
    return found
