"""The configuration file: TOML whose keys are the options' long names, and `tap` and `url`."""

from __future__ import annotations

import argparse
import os
import re
import stat
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vpnws.client.program.commands import COMMANDS
from vpnws.commandline.parser import nearest
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vpnws.commandline.parser import Parser

CONFIG_DIRECTORY: Final = Path("/etc/vpnws")
"""`--config NAME` means NAME.toml here."""
SUFFIX: Final = ".toml"
MAX_FILE_BYTES: Final = 65536
"""A longer file is refused: it is not one of ours."""
_NOT_IN_A_FILE: Final = frozenset(("config", "help", "version"))
_PASSWORD: Final = re.compile(r"//[^/\s]*:[^/\s]*@")
"""A URL with a user and a password."""
_SECRET_HEADER: Final = re.compile(
    r"\s*(authorization|proxy-authorization|cookie|.*(token|key))\s*:", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where options came from, for sentences about a wrong one."""

    path: Path | None = None
    keys: frozenset[str] = field(default_factory=frozenset)
    """The keys of the file that the command line did not override."""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Put the file's name before a ConfigError about an option that the file gave."""
        try:
            yield
        except ConfigError as error:
            if self.path is None or not self._is_about(str(error)):
                raise
            raise ConfigError(f"{self.path}: {error}") from error

    def _is_about(self, sentence: str) -> bool:
        first = re.search(r"--([a-z0-9-]+)|\bURL\b", sentence)
        return first is not None and (first[1] or "url") in self.keys


def parse(
    make_parser: Callable[[], Parser], words: Sequence[str] | None
) -> tuple[argparse.Namespace, Origin]:
    """Return the options of the command line and of the file that it names, and their origin.

    The command line overrides the file; a list replaces the file's list. Raises ConfigError. For
    --help, --version and wrong options argparse ends the program itself.
    """
    parser = make_parser()
    options = parser.parse_intermixed_args(words)
    origin = Origin()
    if options.config is not None:
        path = path_of(options.config)
        from_file = read_file(path, parser)
        given = vars(_without_defaults(make_parser()).parse_intermixed_args(words))
        if all("://" in word for word in (given.get("tap", ""), *given.get("url", []))):
            # All words are URLs: the file has the device.
            given["url"] = [given.pop("tap"), *given.get("url", [])]
            options.tap = None
        options = argparse.Namespace(**{**vars(options), **from_file, **given})
        origin = Origin(path, frozenset(_key(dest) for dest in from_file if dest not in given))
    lacking = [str(place.metavar) for place in parser.places if not getattr(options, place.dest)]
    if lacking:
        parser.error(_lacks(options, lacking))
    return options, origin


def _lacks(options: argparse.Namespace, lacking: Sequence[str]) -> str:
    """Return what is missing, and what was meant by the one word that is there."""
    sentence = "the following arguments are required: "
    word = getattr(options, "tap", None) or ""
    if "://" in word:
        return f"{sentence}TAP; the name of the device comes first, like tap0"
    near = nearest(word, [command.name for command in COMMANDS]) if word else []
    meant = f" (is the command {near[0]} meant?)" if near else ""
    return f"{sentence}{', '.join(lacking)}{meant}"


def path_of(name: str) -> Path:
    """Return the file that `--config` means: a path, or the name of one in CONFIG_DIRECTORY."""
    is_path = "/" in name or name.endswith(SUFFIX)
    return Path(name) if is_path else CONFIG_DIRECTORY / f"{name}{SUFFIX}"


def read_file(path: Path, parser: Parser) -> dict[str, Any]:
    """Return the values of a file by the `dest` of their options in `parser`.

    Raises ConfigError, in which is the file, and the key if one is wrong.
    """
    content = _load(path)
    actions = _actions(parser)
    values: dict[str, Any] = {}
    for key, value in content.items():
        action = actions.get(key)
        if action is None:
            table = isinstance(value, dict)
            meant = "; the options stand alone, in no table" if table else _meant(key, actions)
            raise ConfigError(f"{path}: there is no option {key!r}{meant}")
        try:
            values[action.dest] = _value(action, value)
        except ValueError as error:
            raise ConfigError(f"{path}: {key} {error}") from error
    return values


def _load(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the file of --config: {error.strerror}: {path}") from error
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is longer than {MAX_FILE_BYTES} bytes: is it the right file?")
    try:
        content = tomllib.loads(text.decode("utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML, such as mtu = 1400: {error}") from error
    _check_rights(path, mode, content)
    return content


def _check_rights(path: Path, mode: int, content: Mapping[str, Any]) -> None:
    """Refuse a file that others may write, and one with a secret that others may read.

    The client runs what `exec` says, most often as root.
    """
    if not stat.S_ISREG(mode):
        return
    if mode & stat.S_IWOTH:
        raise ConfigError(f"{path} may be written by everybody: chmod o-w {path}")
    if mode & stat.S_IROTH and _has_secret(content):
        raise ConfigError(
            f"{path} has a password in it and may be read by everybody: chmod o-r {path} (or use"
            " password-file)"
        )


def _has_secret(content: Mapping[str, Any]) -> bool:
    headers = _texts(content.get("header"))
    texts = [text for value in content.values() for text in _texts(value)]
    return any(map(_SECRET_HEADER.match, headers)) or any(map(_PASSWORD.search, texts))


def _texts(value: object) -> list[str]:
    return [
        each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)
    ]


def _actions(parser: Parser) -> dict[str, argparse.Action]:
    """Return every option that a file may give, and every place, by its key."""
    named = {name[2:]: action for name, action in parser.options.items() if name.startswith("--")}
    places = {_key(action.dest): action for action in parser.places}
    return {key: each for key, each in {**named, **places}.items() if key not in _NOT_IN_A_FILE}


def _meant(key: str, known: Mapping[str, object]) -> str:
    near = nearest(key.lstrip("-"), known)
    return f" (is {near[0]} meant?)" if near else "; the keys are the options' names without --"


def _value(action: argparse.Action, value: object) -> Any:
    """Return what argparse would make of it. Raises ValueError, whose text follows the key."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"is true or false, not {_shown(value)}")
        return value
    is_list = isinstance(action.default, list) or action.nargs in ("*", "+")
    if not is_list:
        return _one(action, value, "a text or a number")
    values = value if isinstance(value, list) else [value]
    return [_one(action, each, "a text or a list of texts") for each in values]


def _one(action: argparse.Action, value: object, what: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"is {what}, not {_shown(value)}")
    text = str(value)
    if action.choices is not None and text not in action.choices:
        raise ValueError(f"is one of {', '.join(action.choices)}, not {text!r}")
    try:
        return action.type(text) if callable(action.type) else text
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from error


def _shown(value: object) -> str:
    kinds = {bool: "true or false", dict: "a table", list: "a list", str: "a text"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "such a value")


def _without_defaults(parser: Parser) -> Parser:
    """Return `parser` so that what is not given leaves no trace."""
    for action in (*parser.options.values(), *parser.places):
        action.default = argparse.SUPPRESS
    return parser


def _key(dest: str) -> str:
    return dest.replace("_", "-")
