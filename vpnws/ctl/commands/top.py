"""The command top: the busiest ports, live."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Group
from rich.live import Live
from rich.text import Text

from vpnws.commandline import units
from vpnws.control.views import PortView, StatusView
from vpnws.ctl.commands.command import Call, Command, add_target
from vpnws.ctl.commands.lists import called, state
from vpnws.ctl.commands.rates import ORDERS, Rate, Sampler, ordered
from vpnws.ctl.commands.values import count as read_count
from vpnws.ctl.commands.values import duration_s
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import Page, decode
from vpnws.ctl.show import words
from vpnws.ctl.show.keys import single_keys
from vpnws.ctl.show.table import Column, make_table
from vpnws.errors import ConfigError, ConnectError

if TYPE_CHECKING:
    import argparse

    from rich.console import RenderableType

DEFAULT_INTERVAL_S: Final = 2
"""How often `top` looks."""
_HEAD_LINES: Final = 5
"""What `top` shows above its rows."""
_QUIT: Final = "q"


@dataclass(slots=True)
class _Screen:
    """What is on the screen, and by which order."""

    call: Call
    sampler: Sampler = field(default_factory=Sampler)
    order: str = "t"
    status: StatusView | None = None
    rates: list[Rate] = field(default_factory=list)
    trouble: str = ""

    def look(self) -> None:
        """Ask the server. What goes wrong is shown in place of it: a server may be restarting."""
        try:
            self.status = decode(self.call.api.get("status"), StatusView)
            page = self.call.api.items("ports", _query(self.call))
        except ConnectError as error:
            self.trouble = str(error)
            return
        self.trouble = _trouble(page, self.status)
        self.rates = self.sampler.look(page.of(PortView), self.status.now_s)

    def press(self, keys: str) -> bool:
        """Choose the order that one of `keys` means; return whether one of them ends it all."""
        for key in keys:
            if key in ORDERS:
                self.order = key
        return _QUIT in keys

    def render(self, width_columns: int, height_lines: int) -> RenderableType:
        """Return what is to be seen."""
        rows = ordered(self.rates, self.order)[: max(1, height_lines - _HEAD_LINES)]
        return Group(
            Text(self._head(), no_wrap=True, overflow="ellipsis"),
            Text(self.trouble or _help(self.order), no_wrap=True, overflow="ellipsis"),
            make_table(_columns(), rows, width_columns),
        )

    def _head(self) -> str:
        if self.status is None:
            return "no answer yet"
        rx = sum(rate.rx_bytes_per_s for rate in self.rates)
        drops = sum(rate.drops_per_s for rate in self.rates)
        return (
            f"vpnws {words.name(self.status.version)}: {len(self.rates):,} ports,"
            f" {self.status.macs:,} MACs, {units.bit_rate(rx)} received, {drops:,.0f} drops/s"
        )


def top(call: Call) -> Exit:
    """Show the busiest ports until q is pressed; with --json print each look on a line."""
    if call.output.as_json:
        return _print_looks(call)
    if not (call.output.is_terminal and sys.stdin.isatty()):
        raise ConfigError("top needs a terminal: use `top --json`, or `ports`, in a script")
    screen = _Screen(call, order=call.options.sort)
    console = call.output.console()
    screen.look()
    with single_keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        for _ in _looks(call):
            live.update(screen.render(console.width, console.height), refresh=True)
            due_s = time.monotonic() + call.options.interval
            while (left_s := due_s - time.monotonic()) > 0:
                if screen.press(keys(left_s)):
                    return Exit.DONE
                live.update(screen.render(console.width, console.height), refresh=True)
            screen.look()
    return Exit.DONE


def _print_looks(call: Call) -> Exit:
    sampler = Sampler()
    code = Exit.DONE
    for number in _looks(call):
        if number:
            time.sleep(call.options.interval)
        status = decode(call.api.get("status"), StatusView)
        page = call.api.items("ports", _query(call))
        rates = ordered(sampler.look(page.of(PortView), status.now_s), call.options.sort)
        look = {"time_s": status.now_s, "items": rates, "missing": page.missing}
        call.output.json_line(msgspec.json.encode(look))
        call.output.flush()
        code = call.whole(page.missing)
    return code


def _looks(call: Call) -> range | count[int]:
    return range(call.options.count) if call.options.count else count()


def _query(call: Call) -> dict[str, str]:
    target = {} if call.target is None else call.target.query()
    return {"network": call.network, **target}


def _trouble(page: Page, status: StatusView) -> str:
    missing = dict.fromkeys((*page.missing, *status.missing))
    return f"{', '.join(map(words.name, missing))} did not answer" if missing else ""


def _help(order: str) -> str:
    keys = ", ".join(f"{key} {title}" for key, (title, _) in ORDERS.items())
    return f"sorted by {ORDERS[order][0]}; keys: {keys}, {_QUIT} quit"


def _columns() -> list[Column[Rate]]:
    return [
        Column("PORT", lambda rate: rate.port.id),
        Column("WHO", lambda rate: called(rate.port)),
        Column("NETWORK", lambda rate: words.name(rate.port.network)),
        Column("RECEIVED", lambda rate: units.bit_rate(rate.rx_bytes_per_s), is_number=True),
        Column("SENT", lambda rate: units.bit_rate(rate.tx_bytes_per_s), is_number=True),
        Column("FRAMES/S", _frames, is_number=True),
        Column("DROPS/S", lambda rate: f"{rate.drops_per_s:,.0f}", is_number=True),
        Column("STATE", lambda rate: state(rate.port)),
    ]


def _frames(rate: Rate) -> str:
    return f"{rate.rx_frames_per_s + rate.tx_frames_per_s:,.0f}"


def _add_top(parser: argparse.ArgumentParser) -> None:
    add_target(parser, required=False, what="only what has to do with it")
    keys = ", ".join(f"{key} {title}" for key, (title, _) in ORDERS.items())
    parser.add_argument(
        "--sort", metavar="KEY", choices=ORDERS, default="t", help=f"{keys} (default: t)"
    )
    parser.add_argument(
        "--interval",
        metavar="TIME",
        type=duration_s,
        default=DEFAULT_INTERVAL_S,
        help="between two looks (default: 2s)",
    )
    parser.add_argument(
        "--count", metavar="N", type=read_count, default=0, help="end after so many looks"
    )


COMMANDS: Final = (
    Command("top", "the busiest ports, live; q quits, other keys sort", top, _add_top),
)
