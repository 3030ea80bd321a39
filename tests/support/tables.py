"""Writes the tables of the documentation that the code can tell: `python -m tests.support.tables`.

Each is in its page between two comments, `<!-- NAME: begin -->` and `<!-- NAME: end -->`. The texts
come from the code: below each constant, below each member of an enum, first in each module. A test
fails if this command would change a page.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from tests.support.rooms import ROOMS
from tests.support.sources import (
    ROOT,
    Constant,
    constants,
    members,
    modules,
    name_of,
    sentence_of,
)
from vpnws.client.program.commands import COMMANDS
from vpnws.client.program.exits import MEANINGS
from vpnws.client.program.parser import make_parser
from vpnws.config import Settings, placeholder_names
from vpnws.control.api.routes import ROUTES
from vpnws.control.events import EVENTS, FIELDS
from vpnws.control.metrics.scrape import SERVER_METRICS
from vpnws.control.metrics.table import HISTOGRAMS, METRICS
from vpnws.ctl.exits import MEANINGS as CTL_MEANINGS
from vpnws.ctl.program.options import ALL, COMMON
from vpnws.ctl.program.options import make_parser as make_ctl_parser
from vpnws.server.port.explanations import AT_A_TAP, AT_A_TRUNK, EXPLANATIONS
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

INI: Final = (ROOT / "uwsgi.ini").read_text()
INI_DEFAULTS: Final = dict(
    re.findall(r"^set-placeholder = (vpnws-[a-z-]+)=(.+)$", INI, re.MULTILINE)
)
ITEMS: Final = {
    name: Settings.__dataclass_fields__[item] for name, item in placeholder_names().items()
}


def rooms() -> str:
    """Return the rooms in their order, each with its one sentence."""
    rows = [(f"`{_path_of(name)}`", sentence) for name, sentence in ROOMS.items()]
    return table(("room", "what it is for"), rows)


def module_map() -> str:
    """Return every module with its sentence, room by room."""
    paths = [path for path in modules() if path.name != "__init__.py"]
    paths.sort(key=lambda path: (_room_number(path), str(path)))
    rows = [(f"`{path.relative_to(ROOT)}`", sentence_of(path)) for path in paths]
    return table(("module", "what it is for"), rows)


def bounds() -> str:
    """Return a table of bounds for each part of vpnws, with what happens when each is reached."""
    parts: dict[str, list[Constant]] = {}
    for constant in constants():
        if constant.is_bound():
            parts.setdefault(_part_of(constant.path), []).append(constant)
    order = [*(room.replace(".", "/") for room in ROOMS), "vpnws"]
    return "\n".join(
        f"### {part}\n\n{table(('bound', 'value', 'where', 'what it means'), map(_row, found))}"
        for part, found in sorted(parts.items(), key=lambda each: order.index(each[0]))
    )


def drops_in_switch() -> str:
    """Return the switch's reasons for a drop: where counted, what each means, and what to do."""
    rows = []
    for reason in members("Drop", "vpnws/switch"):
        where, _, why = reason.says.partition(": ")
        remedies = _remedies(Drop(reason.value))
        rows.append((f"`{reason.value}`", where.lower(), _capital(why), remedies))
    return table(("in the switch", "counted at", "why", "what to do"), rows)


def _remedies(reason: Drop) -> str:
    """Return what to do about a reason, at a station and elsewhere where that differs."""
    special = ((" At a TAP: ", AT_A_TAP), (" On a trunk: ", AT_A_TRUNK))
    remedies = [("", EXPLANATIONS[reason])]
    remedies += [(where, known[reason]) for where, known in special if reason in known]
    return "".join(f"{where}{_capital(says.remedy)}." for where, says in remedies)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def drops_in_client() -> str:
    """Return the client's reasons for a drop, in the words that it prints, with what they mean."""
    reasons = members("ClientDrop", "vpnws/client")
    return table(
        ("in the client", "why"), [(f"`{reason.value}`", reason.says) for reason in reasons]
    )


def settings() -> str:
    """Return every setting of the server with its unit, default, range and sentence."""
    rows = [
        (
            f"`{name}`",
            item.metadata["unit"],
            _quoted(_default_of(name)),
            _allowed(name),
            item.metadata["sentence"],
        )
        for name, item in ITEMS.items()
    ]
    return table(("setting", "unit", "default", "allowed", "what it is for"), rows)


def client_options() -> str:
    """Return the options of the client, as its help has them."""
    rows = []
    for action in make_parser()._actions:
        if action.dest in ("help", "version"):
            continue
        words = ", ".join(action.option_strings) or str(action.metavar)
        value = f" {action.metavar}" if action.option_strings and action.metavar else ""
        says = (action.help or "") % {"default": action.default}
        rows.append((f"`{words}{value}`", says))
    return table(("option", "what it does"), rows)


def client_commands() -> str:
    """Return the commands of the client."""
    return table(
        ("command", "what it does"), [(f"`{each.name}`", each.summary) for each in COMMANDS]
    )


def exit_codes() -> str:
    """Return the exit codes of the client."""
    rows = [(str(code.value), meaning) for code, meaning in MEANINGS.items()]
    return table(("code", "meaning"), rows)


def findings_of_the_doctor() -> str:
    """Return what the doctor finds, with what each means."""
    rows = [(f"`{name.value}`", name.says) for name in members("Name", "vpnws/doctor")]
    return table(("finding", "what it means"), rows)


def api_paths() -> str:
    """Return the paths of the control API."""
    rows = ((f"`{route.method} {route.path}`", route.summary) for route in ROUTES)
    return table(("path below `api/v1/`", "what it does"), rows)


def events() -> str:
    """Return every event with its level, its sentence and its fields."""
    rows = [
        (
            f"`{event.value}`",
            kind.level if kind.is_logged else f"{kind.level}, not in the log",
            kind.sentence,
            " ".join(f"`{name}`" for name in kind.fields),
        )
        for event, kind in EVENTS.items()
    ]
    return table(("event", "level", "what has happened", "fields"), rows)


def event_fields() -> str:
    """Return every field that events have."""
    return table(("field", "what it means"), [(f"`{name}`", says) for name, says in FIELDS.items()])


def ctl_commands() -> str:
    """Return the commands of vpnws-ctl."""
    rows = [(f"`{usage_of(command.name)}`", command.summary) for command in ALL]
    return table(("command", "what it does"), rows)


def ctl_options() -> str:
    """Return the options that every command of vpnws-ctl has."""
    rows = [
        (f"`{name}{' ' + more['metavar'] if 'metavar' in more else ''}`", more["help"])
        for name, more in COMMON.items()
    ]
    return table(("option", "what it does"), rows)


def ctl_exit_codes() -> str:
    """Return the exit codes of vpnws-ctl."""
    rows = [(str(code.value), meaning) for code, meaning in CTL_MEANINGS.items()]
    return table(("code", "meaning"), rows)


def metrics() -> str:
    """Return every metric with its kind, its labels and what it is for."""
    rows: list[tuple[str, ...]] = list(SERVER_METRICS)
    rows += [
        (each.full_name, each.kind, ", ".join(each.labels), each.help)
        for each in (*METRICS, *HISTOGRAMS)
    ]
    return table(
        ("metric", "kind", "labels", "what it is"),
        [(f"`{name}`", kind, labels, says) for name, kind, labels, says in rows],
    )


TABLES: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "rooms": ("docs/design.md", rooms),
    "modules": ("docs/topics/modules.md", module_map),
    "bounds": ("docs/topics/bounds.md", bounds),
    "drops in the switch": ("docs/topics/drops.md", drops_in_switch),
    "drops in the client": ("docs/topics/drops.md", drops_in_client),
    "findings of the doctor": ("docs/trouble.md", findings_of_the_doctor),
    "settings": ("docs/settings.md", settings),
    "api paths": ("docs/control.md", api_paths),
    "events": ("docs/events.md", events),
    "fields of events": ("docs/events.md", event_fields),
    "metrics": ("docs/metrics.md", metrics),
    "options of the client": ("docs/client.md", client_options),
    "commands of the client": ("docs/client.md", client_commands),
    "exit codes of the client": ("docs/client.md", exit_codes),
    "commands of vpnws-ctl": ("docs/ctl.md", ctl_commands),
    "options of vpnws-ctl": ("docs/ctl.md", ctl_options),
    "exit codes of vpnws-ctl": ("docs/ctl.md", ctl_exit_codes),
}
"""Name of a table -> the page that it is in, and the function that makes it."""


def written(page: Path) -> str:
    """Return the text of `page` with its tables as the code has them now. Raises LookupError."""
    text = page.read_text()
    for name, (path, make) in TABLES.items():
        if ROOT / path == page:
            begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
            before, found_begin, rest = text.partition(begin)
            _, found_end, after = rest.partition(end)
            if not found_begin or not found_end:
                raise LookupError(f"{path} has no place for the table of {name}: {begin}{end}")
            text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def pages() -> list[Path]:
    """Return the pages that have such tables."""
    return sorted({ROOT / path for path, _ in TABLES.values()})


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every table into its page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for page in pages():
        text = written(page)
        if text != page.read_text():
            page.write_text(text)
            print(f"{page.relative_to(ROOT)} has new tables")


def usage_of(name: str) -> str:
    """Return how a command of vpnws-ctl is written, without the options that all have."""
    parser = make_ctl_parser().commands[name]
    words = [name]
    for action in parser._actions:
        option = action.option_strings[0] if action.option_strings else ""
        if action.dest in ("help", *(each[2:].replace("-", "_") for each in COMMON)):
            continue
        value = action.metavar or ""
        word = f"{option} {value}".strip() if action.nargs != 0 else option
        words.append(f"[{word}]" if option or action.nargs == "?" else word)
    return " ".join(words)


def _line(cells: Iterable[str]) -> str:
    return "".join(f"| {cell} ".replace("  ", " ") for cell in cells) + "|"


def _row(constant: Constant) -> tuple[str, ...]:
    number = f"{constant.value:,}".removesuffix(".0")
    unit = "per s" if constant.name.endswith("_PER_S") else constant.unit
    where = constant.path.removeprefix(f"{_part_of(constant.path)}/")
    return (f"`{constant.name}`", f"{number} {unit}", f"`{where}`", constant.says)


def _part_of(path: str) -> str:
    """Return the room directly in vpnws/ that a module belongs to; `vpnws` if it has none."""
    return "/".join(path.split("/")[:-1][:2])


def _path_of(name: str) -> str:
    path = ROOT / name.replace(".", "/")
    return name.replace(".", "/") + ("/" if path.is_dir() else ".py")


def _room_number(path: Path) -> int:
    name = name_of(path)
    order = list(ROOMS)
    return order.index(name if name in ROOMS else name.rpartition(".")[0])


def _default_of(name: str) -> str:
    """Return a setting's default: the ini's own for those that only it reads."""
    default = ITEMS[name].default
    if isinstance(default, bool):
        return "on" if default else "off"
    return str(default) if default not in ("", ()) else INI_DEFAULTS.get(name, "")


def _allowed(name: str) -> str:
    meta = ITEMS[name].metadata
    if "low" in meta:
        return f"{meta['low']} to {meta['high']}"
    if isinstance(ITEMS[name].default, bool):
        return "`on`, `off`"
    return ", ".join(map(_quoted, meta["choices"])) if "choices" in meta else "any"


def _quoted(text: str) -> str:
    return text if text.isdigit() or not text else f"`{text}`"


if __name__ == "__main__":
    main()
