"""Completion in shells: the scripts for them, and the words that may come next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vpnws.commandline.parser import Parser

COMPLETE: Final = "complete"
"""The hidden command that the scripts call; the words of the line follow it."""
MAX_WORDS: Final = 1000
"""No more words than this are offered."""
_SAFE: Final = re.compile("[A-Za-z0-9._@:/=+-]+")
"""Words that mean nothing to a shell. A name with other characters is not offered."""
_SCRIPTS: Final = {
    # mapfile takes lines as they are, where `compgen -W` would evaluate them.
    "bash": """\
_{name}() {{
    mapfile -t COMPREPLY < <({program} {complete} -- "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null)
}}
complete -o default -F _{name} {program}
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
function __{name}
    set -l words (commandline -opc) (commandline -ct)
    {program} {complete} -- $words[2..-1] 2>/dev/null
end
complete -c {program} -a '(__{name})'
""",
}
SHELLS: Final = tuple(_SCRIPTS)
EXAMPLES: Final = """\
  eval "$({program} completion bash)"
      in ~/.bashrc
  {program} completion zsh > ~/.zfunc/_{program}
      a directory of $fpath
  {program} completion fish > ~/.config/fish/completions/{program}.fish
      where fish looks
"""
"""For the help of a program's command `completion`."""

Values: TypeAlias = "Callable[[argparse.Action, Sequence[str]], Iterable[str]]"
"""What may be given for an option or in a place, after the words before it."""


def script(program: str, shell: str) -> str:
    """Return the script that has `shell`, one of SHELLS, complete the lines of `program`."""
    name = program.replace("-", "_")
    return _SCRIPTS[shell].format(program=program, name=name, complete=COMPLETE)


def candidates(parser: Parser, words: Sequence[str], values: Values) -> list[str]:
    """Return the words that may stand where the last of `words` is being written."""
    *before, begun = words or [""]
    found = _possible(parser, before, values)
    fit = {word for word in found if word.startswith(begun) and _SAFE.fullmatch(word)}
    if not begun.startswith("-"):
        fit = {word for word in fit if not word.startswith("-")}
    return sorted(fit)[:MAX_WORDS]


def _possible(parser: Parser, before: Sequence[str], values: Values) -> Iterator[str]:
    commands = parser.commands
    name = next((word for word in before if word in commands), "")
    chosen = commands.get(name, parser)
    action = {**parser.options, **chosen.options}.get(before[-1]) if before else None
    if action is not None and action.nargs != 0:
        yield from _choices(action, before, values)
        return
    yield from chosen.options
    if not name:
        yield from commands
    for place in chosen.places:
        yield from _choices(place, before, values)


def _choices(action: argparse.Action, before: Sequence[str], values: Values) -> Iterable[str]:
    return values(action, before) if action.choices is None else map(str, action.choices)
