"""The command `status`: shows how the clients on this machine are."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.exits import Exit
from vpnws.client.service.asking import RATE_S, Seen, Silent, ask_all, rated
from vpnws.client.service.places import SYSTEM, directory
from vpnws.client.service.report import CONNECTED, WAITING, StatusView
from vpnws.commandline.parser import Parser
from vpnws.commandline.units import bit_rate, duration
from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_EXAMPLES: Final = """\
examples:
  vpnws-client status
      every client that this user may ask: root sees those that root started
  vpnws-client status tap0 --json | jq .rtt_s
      one of them, for programs

exit codes:
  0  every client that was found is connected
  2  a wrong option
  8  one is not connected or does not answer, or none was found
"""


def make_parser() -> Parser:
    """Return the parser of this command."""
    parser = Parser(
        prog=f"{PROGRAM} status",
        description="Show how the running clients of this machine are: connected or not, where to,"
        " the rates of the last second, what went wrong last.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("tap", metavar="TAP", nargs="?", help="only the client of this device")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line for each client"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Show the status; return the exit code."""
    options = make_parser().parse_args(arguments)
    seen, silent = _look(options.tap)
    for each in seen:
        _print(_as_json(each) if options.json else "\n".join(_lines(each)))
    for each_silent in silent:
        _remark(f"{each_silent.path.name}: {each_silent.reason}")
    if not seen and not silent:
        _remark(_nobody(options.tap))
    is_well = seen and not silent and all(each.view.state == CONNECTED for each in seen)
    return Exit.STOPPED if is_well else Exit.CONNECT


def _look(tap: str | None) -> tuple[list[Seen], list[Silent]]:
    """Ask all clients twice; return what they said, and which were silent."""
    place = _place()
    first, _ = ask_all(place)
    if first:
        time.sleep(RATE_S)
    second, silent = ask_all(place)
    seen = [rated(first.get(path), view) for path, view in second.items()]
    return [each for each in seen if tap in (None, each.view.tap)], [
        each for each in silent if tap is None or each.path.name.startswith(f"{tap}.")
    ]


def _place() -> Path:
    """Return where to look: a user without clients of its own looks at those of root."""
    own = directory(os.environ, os.geteuid())
    return own if own is not None and own.is_dir() else SYSTEM


def _nobody(tap: str | None) -> str:
    whose = "" if os.geteuid() == 0 else " of this user (root sees those that root started)"
    return f"no client is running{f' for {tap}' if tap else ''}{whose}"


def _lines(seen: Seen) -> Iterator[str]:
    view = seen.view
    yield f"{one_line(view.tap)}: {_state(view)}"
    for name, value in _details(seen):
        if value:
            yield f"  {name:<12}{one_line(value)}"


def _state(view: StatusView) -> str:
    if view.state == CONNECTED:
        where = f" ({view.server_address})" if view.server_address else ""
        return one_line(f"connected to {view.server}{where} for {duration(view.connected_s or 0)}")
    if view.state == WAITING:
        return f"not connected, trying again in {view.retry_in_s or 0.0:.1f} s"
    return one_line(f"connecting to {view.server}")


def _details(seen: Seen) -> Iterator[tuple[str, str]]:
    view = seen.view
    yield "addresses", ", ".join(view.addresses)
    if view.state == CONNECTED:
        yield "MAC", f"{view.mac}, offload {'on' if view.offload else 'off'}"
    if seen.sent_bytes_per_s is not None and seen.received_bytes_per_s is not None:
        sent, received = bit_rate(seen.sent_bytes_per_s), bit_rate(seen.received_bytes_per_s)
        yield "rate", f"{sent} sent, {received} received"
    yield "round trip", ", ".join(_round_trips(view))
    yield "frames", f"{view.frames_sent:,} sent, {view.frames_received:,} received"
    yield "dropped", ", ".join(f"{count:,} {why}" for why, count in view.drops.items())
    yield "reconnects", str(view.reconnects or "")
    if view.last_error:
        yield "last error", f"{duration(view.last_error_age_s or 0)} ago: {view.last_error}"
    yield "running", f"{duration(view.uptime_s)}, process {view.pid}, version {view.version}"


def _round_trips(view: StatusView) -> Iterator[str]:
    if view.rtt_s is not None:
        yield f"{view.rtt_s * 1000:.1f} ms (TCP)"
    if view.ping_s is not None:
        yield f"{view.ping_s * 1000:.1f} ms (ping)"


def _as_json(seen: Seen) -> str:
    rates = asdict(seen)
    return json.dumps({**rates.pop("view"), **rates})


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _remark(sentence: str) -> None:
    sys.stderr.write(f"{PROGRAM}: {one_line(sentence)}\n")
