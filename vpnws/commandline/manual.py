"""Writes a program's manual page (man(7)) from its parser, so both say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vpnws.commandline.parser import help_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from vpnws.commandline.parser import Parser

_HEADING: Final = re.compile(r"^(\w[^\n]*):\n", re.MULTILINE)
"""How a part of an epilog begins: a line that is not indented and ends in a colon."""
_TITLES: Final = {"positional arguments": "arguments", "exit codes": "exit status"}
"""What a page calls a part of the help (man-pages(7))."""
_COMMANDS: Final = "commands"
"""The part of the epilog that lists the commands, which the page then describes."""
_TERM: Final = re.compile(r"  (\S+)  +(\S.*)")
"""A line of a list such as that of the exit codes: the term, and what it means."""
_INDENT: Final = "      "
"""Before the lines that say what the line above them is."""


def manual(parser: Parser, summary: str, version: str, see_also: Sequence[str] = ()) -> str:
    """Return the page for section 1: `summary` is a line without a full stop.

    `see_also` are other pages, such as "ip(8)". The page has no date: the same source makes the
    same page.
    """
    program = parser.prog
    lines = [
        rf'.TH {program.upper()} 1 "" "vpnws {version}" "vpnws"',
        ".SH NAME",
        f"{escape(program)} \\- {escape(summary)}",
        ".SH SYNOPSIS",
        *_synopsis(parser),
        ".SH DESCRIPTION",
        *_paragraphs((parser.description or "").splitlines()),
        *_options(parser, ".SH"),
        *_commands(parser),
        *_epilog(parser, ".SH"),
    ]
    if see_also:
        lines += [".SH SEE ALSO", ",\n".join(_reference(name) for name in see_also)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return `text` so that roff shows it as it is."""
    shown = text.replace("\\", "\\e").replace("-", "\\-")
    # At the beginning of a line these two characters begin a request.
    return "\\&" + shown if shown.startswith((".", "'")) else shown


def _synopsis(parser: Parser) -> Iterator[str]:
    usage = (parser.usage or "%(prog)s [options]") % {"prog": parser.prog}
    for index, line in enumerate(usage.splitlines()):
        program, _, rest = line.strip().removeprefix("or: ").partition(" ")
        if index:
            yield ".br"
        yield f"\\fB{escape(program)}\\fR {escape(rest)}".rstrip()


def _options(parser: Parser, heading: str) -> Iterator[str]:
    for title, actions in parser.groups:
        yield f"{heading} {_title(title, heading)}"
        for action in actions:
            yield from _described(action)


def _title(title: str, heading: str) -> str:
    title = _TITLES.get(title, title)
    return escape(title.upper() if heading == ".SH" else title.capitalize())


def _described(action: argparse.Action) -> Iterator[str]:
    """Yield an option or a place, and what it is for."""
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    shown = f"\\fI{escape(str(value))}\\fR" if value else ""
    names = ", ".join(f"\\fB{escape(name)}\\fR" for name in action.option_strings)
    yield from (".TP", f"{names} {shown}".strip(), escape(help_of(action)))


def _commands(parser: Parser) -> Iterator[str]:
    if parser.commands:
        yield ".SH COMMANDS"
        yield from _body(dict(_parts(parser)).get(_COMMANDS, []))
    for name, command in parser.commands.items():
        yield f".SS {escape(name)}"
        yield from _paragraphs((command.description or "").splitlines())
        common = {*parser.options}
        for action in (each for _, actions in command.groups for each in actions):
            if not common & {*action.option_strings}:
                yield from _described(action)
        yield from _epilog(command, "")


def _epilog(parser: Parser, heading: str) -> Iterator[str]:
    """Yield the parts of an epilog, each with its heading; without one, as further paragraphs."""
    for title, body in _parts(parser):
        if title != _COMMANDS:
            yield f"{heading} {_title(title, heading)}" if heading else f".PP\n{escape(title)}:"
            yield from _body(body)


def _parts(parser: Parser) -> Iterator[tuple[str, list[str]]]:
    """Yield the title of each part of an epilog, and its lines."""
    _, *found = _HEADING.split(parser.epilog or "")
    for title, body in zip(found[::2], found[1::2], strict=True):
        yield title, body.splitlines()


def _body(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a part: prose, terms with their meaning, commands with what they do."""
    is_in_prose = True
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        term = _TERM.fullmatch(line)
        if not line.strip() or line.startswith(_INDENT):
            yield from [escape(line.strip())] if line.strip() else ()
        elif term or following.startswith(_INDENT):
            yield from _entry(term[1], term[2]) if term else _entry(line.strip())
        else:
            # Prose behind a list or an empty line is a paragraph of its own.
            is_new = index and (not is_in_prose or not lines[index - 1].strip())
            yield from ((".PP",) if is_new else ())
            yield escape(line.strip())
        is_in_prose = bool(line.strip()) and not (term or following.startswith(_INDENT))


def _entry(term: str, text: str = "") -> Iterator[str]:
    yield from (".TP", f"\\fB{escape(term)}\\fR")
    yield from [escape(text)] if text else ()


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield escape(line) if line.strip() else ".PP"


def _reference(name: str) -> str:
    page, _, section = name.partition("(")
    return f"\\fB{escape(page)}\\fR({section}"
