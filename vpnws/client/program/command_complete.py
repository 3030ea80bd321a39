"""The hidden command `complete`: says which words may come next, when the shell's script asks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.program.config_file import CONFIG_DIRECTORY, SUFFIX
from vpnws.client.program.exits import Exit
from vpnws.client.program.whole import make_whole_parser
from vpnws.client.service.places import SYSTEM, directory, sockets
from vpnws.commandline.completion import candidates

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

_DEVICES: Final = Path("/sys/class/net")


def main(arguments: Sequence[str]) -> int:
    """Print the words that may stand where the last of `arguments` is written, one a line."""
    words = arguments[1:] if arguments[:1] == ["--"] else arguments
    for word in candidates(make_whole_parser(), words, _values):
        sys.stdout.write(f"{word}\n")
    return Exit.STOPPED


def _values(action: argparse.Action, before: Sequence[str]) -> Iterable[str]:
    if action.dest == "config":
        return [path.stem for path in _names(CONFIG_DIRECTORY) if path.suffix == SUFFIX]
    if action.dest == "bridge":
        return [path.name for path in _names(_DEVICES) if (path / "bridge").exists()]
    if action.dest != "tap":
        return ()
    if before[:1] == ["status"]:
        place = directory(os.environ, os.geteuid()) or SYSTEM
        return [path.name.rsplit(".", 2)[0] for path in sockets(place)]
    return [path.name for path in _names(_DEVICES) if (path / "tun_flags").exists()]


def _names(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir())
    except OSError:
        return []
