"""What vpnws-ctl offers in shells besides its own words: ports, users and networks."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.commandline.completion import EXAMPLES, SHELLS, Values, script
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
    from collections.abc import Iterable, Mapping, Sequence

ANSWER_S: Final = 2.0
"""A server that takes longer gives no words: somebody waits at the keyboard."""
_TARGETS: Final = ("target", "source", "destination", "owner", "port")


def completion(call: Call) -> Exit:
    """Print the script for a shell."""
    call.output.out.write(script(PROGRAM, call.options.shell))
    return Exit.DONE


def values(environment: Mapping[str, str]) -> Values:
    """Return what gives the server's own names; `environment` may say which server."""
    return partial(_values, environment)


def _values(
    environment: Mapping[str, str], action: argparse.Action, before: Sequence[str]
) -> Iterable[str]:
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
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


COMPLETION: Final = Command(
    "completion",
    "print a script that completes commands, ports and users",
    completion,
    _add_completion,
    EXAMPLES.format(program=PROGRAM),
    asks=False,
)
