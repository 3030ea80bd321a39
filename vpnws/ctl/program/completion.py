"""Completion in shells: the scripts for them, and the words that may come next."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.control.views import NetworkView, PortView
from vpnws.ctl.commands.command import Call, Command
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import Api
from vpnws.ctl.reach.places import find_socket, told_place
from vpnws.ctl.reach.unix import UnixWay, local_user
from vpnws.ctl.show.output import PROGRAM
from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vpnws.ctl.program.parser import Parser

COMPLETE: Final = "complete"
"""The hidden command that the scripts call; the words of the line follow it."""
ANSWER_S: Final = 2.0
"""A server that takes longer gives no words: somebody waits at the keyboard."""
MAX_WORDS: Final = 1000
"""No more words than this are offered."""
_SAFE: Final = re.compile("[A-Za-z0-9._@:/=+-]+")
"""Words that mean nothing to a shell. A name with other characters is not offered."""
_TARGETS: Final = ("target", "source", "destination", "owner", "port")
_SCRIPTS: Final = {
    # mapfile takes lines as they are, where `compgen -W` would evaluate them.
    "bash": """\
_vpnws_ctl() {{
    mapfile -t COMPREPLY < <({program} {complete} -- "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null)
}}
complete -o default -F _vpnws_ctl {program}
""",
    "zsh": """\
#compdef {program}
compdef _{program} {program}
_{program}() {{
    local -a found
    found=("${{(@f)$({program} {complete} -- "${{(@)words[2,CURRENT]}}" 2>/dev/null)}}")
    if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}}
# From a directory of $fpath this is the function's first call.
[[ "$funcstack[1]" = _{program} ]] && _{program}
""",
    "fish": """\
function __vpnws_ctl
    set -l words (commandline -opc) (commandline -ct)
    {program} {complete} -- $words[2..-1] 2>/dev/null
end
complete -c {program} -a '(__vpnws_ctl)'
""",
}


def completion(call: Call) -> Exit:
    """Print the script for a shell."""
    script = _SCRIPTS[call.options.shell].format(program=PROGRAM, complete=COMPLETE)
    call.output.out.write(script)
    return Exit.DONE


def candidates(parser: Parser, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the words that may stand where the last of `words` is being written."""
    *before, begun = words or [""]
    found = _possible(parser, before, environment)
    fit = {word for word in found if word.startswith(begun) and _SAFE.fullmatch(word)}
    if not begun.startswith("-"):
        fit = {word for word in fit if not word.startswith("-")}
    return sorted(fit)[:MAX_WORDS]


def _possible(
    parser: Parser, before: Sequence[str], environment: Mapping[str, str]
) -> Iterator[str]:
    commands = parser.commands
    name = next((word for word in before if word in commands), "")
    chosen = commands.get(name, parser)
    action = {**parser.options, **chosen.options}.get(before[-1]) if before else None
    if action is not None and action.nargs != 0:
        yield from _values(action, before, environment)
        return
    yield from chosen.options
    if not name:
        yield from commands
        return
    for positional in chosen.places:
        yield from _values(positional, before, environment)


def _values(
    action: argparse.Action, before: Sequence[str], environment: Mapping[str, str]
) -> Iterable[str]:
    """Return what may be given for an option or in a place of the line."""
    if action.choices is not None:
        return map(str, action.choices)
    if action.dest not in (*_TARGETS, "network"):
        return ()
    # Completion is a help: without a server there are no names, and no message either.
    with suppress(VpnwsError, OSError):
        return _live(action.dest, before, environment)
    return ()


def _live(dest: str, before: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return ports and users, or networks, of the server on this machine."""
    told, url = told_place(environment)
    given = [value for option, value in pairwise(before) if option == "--socket"]
    if (url and not given) or "--url" in before:
        # Another server would ask for a password.
        return []
    path = Path(given[-1]) if given else Path(told) if told else find_socket()
    api = Api(UnixWay(path, local_user(), answer_s=ANSWER_S))
    if dest == "network":
        return [each.name for each in api.page("networks").of(NetworkView)]
    ports = api.page("ports").of(PortView)
    return [word for port in ports for word in (port.id, port.who.user) if word]


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=tuple(_SCRIPTS), help="bash, zsh or fish")


_EXAMPLES: Final = """\
  eval "$(vpnws-ctl completion bash)"
      in ~/.bashrc
  vpnws-ctl completion zsh > ~/.zfunc/_vpnws-ctl
      a directory of $fpath
  vpnws-ctl completion fish > ~/.config/fish/completions/vpnws-ctl.fish
"""
COMPLETION: Final = Command(
    "completion",
    "print a script that completes commands, ports and users",
    completion,
    _add_completion,
    _EXAMPLES,
)
