"""The command `doctor`: walks from the server's name to the first frame, and says where it ends."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from vpnws import __version__
from vpnws.client.doctor.device import device_step
from vpnws.client.doctor.road import Road
from vpnws.client.doctor.session import Session
from vpnws.client.doctor.step import Result, State, walk
from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.config_file import parse
from vpnws.client.program.exits import Exit, exit_code
from vpnws.client.program.options import read
from vpnws.client.program.parser import SUBJECTS, ClientParser
from vpnws.client.service.logs import start_log
from vpnws.client.waiting import Stopped, StopRequest, Waiter
from vpnws.errors import VpnwsError
from vpnws.https import tls
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from vpnws.client.settings import ClientSettings
    from vpnws.commandline.parser import Parser

INTERRUPTED: Final = 128 + signal.SIGINT
"""What shells expect of a program that Ctrl-C has ended."""
TAP: Final = "vpndr%d"
"""The device that is made for a moment."""
_DESCRIPTION: Final = """\
Walk the way that a station takes: look up the name, find the route, connect by TCP to each
address, through the proxy, TLS, the upgrade; then see what the server offers, whether it
answers, whether frames of full size pass, whether other stations are heard; and whether a TAP
can be opened here. Each step is one line with its time; the first that fails says what to do.
It takes the options of vpnws-client, and leaves nothing behind."""
_EPILOG: Final = """\
examples:
  vpnws-client doctor wss://vpn.example.org/vpn
      as far as it goes without a password
  vpnws-client doctor --config office
      with the options of /etc/vpnws/office.toml
  vpnws-client doctor --json --user alice --password-file pw wss://vpn.example.org/vpn
      for programs: one JSON object a line for each step

exit codes:
  0  no step has failed
  The exit code of the first step that has failed is that with which vpnws-client would end.
"""


def make_parser() -> Parser:
    """Return the parser of this command."""
    parser = ClientParser(
        prog=f"{PROGRAM} doctor",
        usage="%(prog)s [options] URL [URL ...]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("url", metavar="URL", nargs="*", help="the server, as for vpnws-client")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line for each step"
    )
    parser.add_argument(
        "--tap", metavar="TAP", default=TAP, help="the device to open (default: one of its own)"
    )
    for subject in SUBJECTS:
        subject.add(parser.add_argument_group(subject.TITLE))
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Take the walk; return the exit code."""
    start_log(PROGRAM, quiet=True)
    try:
        options, origin = parse(make_parser, arguments)
        with origin.named():
            settings = read(options)
        with StopRequest() as stop, closing(Waiter(stop, time.monotonic)) as waiter:
            return _examine(settings, waiter, options)
    except VpnwsError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return exit_code(error)
    except Stopped:
        return INTERRUPTED


def _examine(settings: ClientSettings, waiter: Waiter, options: argparse.Namespace) -> int:
    """Walk to each server; return 0 if one can be joined, else what the first failure means."""
    codes = []
    for alone in settings.for_each_server:
        show = _Shown(alone.url.shown, as_json=options.json)
        failures = [
            result.error for result in map(show.line, _steps(alone, waiter)) if result.error
        ]
        codes.append(exit_code(failures[0]) if failures else Exit.STOPPED)
    return next((code for code in codes if code is Exit.STOPPED), codes[0])


def _steps(settings: ClientSettings, waiter: Waiter) -> Iterator[Result]:
    """Take the steps to one server. Raises ConfigError, Stopped."""
    context = tls.make_context(settings.tls) if settings.url.secure else None
    road, session = Road(settings, context, waiter), Session(settings, context, waiter)
    with closing(session):
        steps = (*road.steps(), *session.steps(), device_step(settings.tap_name))
        yield from walk(steps, waiter.now)


class _Shown:
    """Prints results as they come."""

    def __init__(self, server: str, *, as_json: bool) -> None:
        self._server = server
        self._as_json = as_json
        if not as_json:
            sys.stdout.write(f"{server}\n")

    def line(self, result: Result) -> Result:
        """Print a result, and return it."""
        says = one_line(result.says, max_characters=MAX_SENTENCE_CHARACTERS)
        if self._as_json:
            content = {
                "server": self._server,
                "step": result.name,
                "state": result.state.name.lower(),
                "duration_s": round(result.duration_s, 6),
                "says": says,
            }
            sys.stdout.write(f"{json.dumps(content)}\n")
        else:
            shown = f"{result.duration_s:7.3f} s" if result.state is not State.SKIPPED else " " * 9
            sys.stdout.write(f"  {result.state.value:<6} {result.name:<12}{shown}  {says}\n")
        sys.stdout.flush()
        return result
