"""The command events: what has happened, and what happens."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vpnws.control.views import EventView
from vpnws.ctl.commands.command import Call, Command, add_target
from vpnws.ctl.commands.values import duration_s
from vpnws.ctl.reach.api import MAX_PAGES, Page, decode
from vpnws.ctl.show import words
from vpnws.errors import ConnectError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from msgspec import Raw

    from vpnws.ctl.exits import Exit

LOOK_EVERY_S: Final = 1.0
"""How often `events -f` asks for new ones."""
MAX_AWAY_S: Final = 60.0
"""`events -f` waits this long for a server that is being restarted, then gives up."""
_LEVELS: Final = ("info", "warning", "error")


def events(call: Call) -> Exit:
    """Print events, oldest first; with -f go on until Ctrl-C."""
    page, shown = _so_far(call)
    if call.output.as_json and not call.options.follow:
        return call.listed(Page(tuple(shown), missing=page.missing))
    for item in shown:
        _show(call, item)
    code = call.whole(page.missing)
    if call.options.follow:
        call.output.flush()
        # Ctrl-C is how this ends.
        with suppress(KeyboardInterrupt):
            _follow(call, page.next)
    return code


def _so_far(call: Call) -> tuple[Page, list[Raw]]:
    """Return the last page, and the items of all pages that are wanted."""
    page = Page(())
    shown: list[Raw] = []
    for _ in range(MAX_PAGES):
        page = call.api.page("events", _query(call), page.next)
        shown += _wanted(call, page)
        if not page.items:
            break
    return page, shown


def _follow(call: Call, cursor: str) -> None:
    """Print events as they come, until a signal ends the program. Raises ConnectError."""
    away_since_s: float | None = None
    while True:
        time.sleep(LOOK_EVERY_S)
        try:
            page = call.api.page("events", _query(call), cursor)
        except ConnectError as error:
            away_since_s = away_since_s or time.monotonic()
            if time.monotonic() - away_since_s > MAX_AWAY_S:
                raise
            if time.monotonic() - away_since_s < LOOK_EVERY_S:
                call.output.remark(f"{error}; waiting for it")
            continue
        away_since_s = None
        cursor = page.next or cursor
        if page.lost:
            call.output.remark(f"{page.lost:,} events came too fast and are kept no more")
        for item in _wanted(call, page):
            _show(call, item)
        call.output.flush()


def _wanted(call: Call, page: Page) -> Iterator[Raw]:
    options = call.options
    since_s = call.api.now_s() - options.since if options.since else 0.0
    least = _LEVELS.index(options.level)
    for item in page.items:
        event = decode(item, EventView)
        level = _LEVELS.index(event.level) if event.level in _LEVELS else len(_LEVELS)
        is_named = not options.name or event.name in options.name
        if event.time_s >= since_s and level >= least and is_named:
            yield item


def _show(call: Call, item: Raw) -> None:
    if call.output.as_json:
        call.output.json_line(bytes(item))
        return
    event = decode(item, EventView)
    mark = "" if event.level == "info" else f"{words.name(event.level)}: "
    text = words.sentence(event.text)
    call.output.line(f"{words.moment(event.time_s)} {words.name(event.process)}: {mark}{text}")


def _query(call: Call) -> dict[str, str]:
    query = {"network": call.network}
    return query if call.target is None else {**query, **call.target.query()}


def _add_events(parser: argparse.ArgumentParser) -> None:
    add_target(parser, required=False, what="only what has to do with it")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on as events happen; Ctrl-C ends"
    )
    parser.add_argument(
        "--since", metavar="TIME", type=duration_s, help="not older than this, such as 10m or 2h"
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        action="append",
        help="only events of this name, such as join or drops; may be repeated",
    )
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        choices=_LEVELS,
        default="info",
        help="info, warning or error, and worse (default: info)",
    )


_EXAMPLES: Final = """\
  vpnws-ctl events -f --level warning
      what goes wrong, as it happens
  vpnws-ctl events alice --since 1h
      what alice did within the last hour
  vpnws-ctl --json events -f | jq -r .text
      one JSON object a line
"""
COMMANDS: Final = (
    Command("events", "what has happened; -f: and what happens", events, _add_events, _EXAMPLES),
)
