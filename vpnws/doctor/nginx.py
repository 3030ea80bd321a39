"""Reads nginx's configuration as far as stations depend on it; files come by a function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.doctor.facts import Nginx, Pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.config import Settings

MAX_FILES: Final = 200
"""Files of nginx's configuration that are read; further ones count as empty."""
MAX_DEPTH: Final = 16
"""Blocks and includes within each other; what is deeper counts for nothing."""
DEFAULT_TIMEOUT_S: Final = 60.0
"""uwsgi_read_timeout and proxy_read_timeout where nothing is said (nginx's documentation)."""
DEFAULT_CONNECTIONS: Final = 512
_TOKEN: Final = re.compile(
    r"""\s+ | \#[^\n]* | (?P<sign>[{};]) | "(?P<double>(?:\\.|[^"\\])*)"
    | '(?P<single>(?:\\.|[^'\\])*)' | (?P<word>(?:\$\{[^}]*\}|\\.|[^\s{};"'])+ )""",
    re.VERBOSE | re.DOTALL,
)
_TIME: Final = re.compile(r"(\d+)(ms|[smhd]?)")
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PASSES: Final = {"uwsgi_pass": "uwsgi_read_timeout", "proxy_pass": "proxy_read_timeout"}
_LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
_ANY: Final = ("", "0.0.0.0", "[::]", *_LOCAL)  # noqa: S104
"""Hosts of vpnws-http at which nginx on this machine reaches it."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of the configuration, or a block with its lines."""

    words: tuple[str, ...]
    block: tuple[Directive, ...] = ()


def read_nginx(
    read: Callable[[str], list[str]], main: str, settings: Settings, cores: int
) -> Nginx:
    """Return what nginx's configuration says that begins in the file `main`.

    `read` returns the texts of the files that a pattern of an include names, absolute or relative
    to the directory of `main`. `cores` is what `worker_processes auto` stands for.
    """
    top = _Reader(read).read(main)
    events = [line for block in _blocks(top, "events") for line in block.block]
    processes = _last(top, "worker_processes", "1")
    limit = _last(top, "worker_rlimit_nofile", "")
    return Nginx(
        processes=cores if processes == "auto" else _number(processes, 1),
        connections=_number(_last(events, "worker_connections", ""), DEFAULT_CONNECTIONS),
        max_fds=int(limit) if limit.isdigit() else None,
        passes=tuple(_passes(top, _names_of(top, settings))),
    )


def time_s(text: str) -> float:
    """Return a time as nginx writes it, such as 90s or 1m30s, in seconds."""
    return sum(int(number) * _UNITS_S[unit] for number, unit in _TIME.findall(text))


class _Reader:
    """Reads files into directives, with their includes."""

    def __init__(self, read: Callable[[str], list[str]]) -> None:
        self._read = read
        self._files = 0

    def read(self, pattern: str, depth: int = 0) -> tuple[Directive, ...]:
        """Return the directives of all files that `pattern` names."""
        found: list[Directive] = []
        for text in self._read(pattern) if depth < MAX_DEPTH else []:
            self._files += 1
            if self._files > MAX_FILES:
                break
            found += self._block(_tokens(text), depth)
        return tuple(found)

    def _block(self, tokens: Iterator[tuple[str, bool]], depth: int) -> Iterator[Directive]:
        words: list[str] = []
        for text, is_sign in tokens:
            if not is_sign:
                words.append(text)
            elif text == "}" or depth > MAX_DEPTH:
                return
            elif text == "{":
                yield Directive(tuple(words), tuple(self._block(tokens, depth + 1)))
                words = []
            elif words[:1] == ["include"] and len(words) == 2:
                yield from self.read(words[1], depth + 1)
                words = []
            else:
                yield Directive(tuple(words))
                words = []


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each word and each sign, and whether it is a sign."""
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind is not None:
            yield found[kind], kind == "sign"


def _names_of(top: tuple[Directive, ...], settings: Settings) -> set[str]:
    """Return how a pass may name this server: its addresses, and upstreams that have them."""
    names = {f"unix:{settings.socket}"} if settings.socket else set()
    host, _, port = settings.http.rpartition(":")
    if port:
        names |= {f"{each}:{port}" for each in (_LOCAL if host in _ANY else (host,))}
    for upstream in _blocks(top, "http", "upstream"):
        servers = {line.words[1] for line in upstream.block if line.words[:1] == ("server",)}
        if servers & names:
            names.add(upstream.words[1])
    return names


def _passes(
    block: tuple[Directive, ...], names: set[str], timeouts: dict[str, str] | None = None
) -> Iterator[Pass]:
    """Yield the locations that lead to `names`; `timeouts` come from the blocks around."""
    timeouts = dict(timeouts or {})
    for line in block:
        if line.words[:1] and line.words[0] in _PASSES.values():
            timeouts[line.words[0]] = line.words[-1]
    for line in block:
        if line.words[:1] == ("location",):
            yield from _passed_by(line, names, timeouts)
        if line.block:
            yield from _passes(line.block, names, timeouts)


def _passed_by(location: Directive, names: set[str], timeouts: dict[str, str]) -> Iterator[Pass]:
    own = {line.words[0]: line.words[-1] for line in location.block if line.words}
    for directive, timeout in _PASSES.items():
        target = own.get(directive, "").removeprefix("http://").removeprefix("uwsgi://")
        if target.rstrip("/") in names:
            text = own.get(timeout) or timeouts.get(timeout, "")
            yield Pass(location.words[-1], timeout, time_s(text) if text else DEFAULT_TIMEOUT_S)


def _blocks(block: tuple[Directive, ...], *path: str) -> Iterator[Directive]:
    for line in block:
        if line.words[:1] == path[:1]:
            if len(path) == 1:
                yield line
            else:
                yield from _blocks(line.block, *path[1:])


def _last(block: tuple[Directive, ...] | list[Directive], name: str, default: str) -> str:
    found = [line.words[1] for line in block if line.words[:1] == (name,) and len(line.words) > 1]
    return found[-1] if found else default


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() else default
