"""The commands that change ports and the FDB: kick, block, unblock, flush."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpnws.control.views import AddressView, FdbView
from vpnws.ctl.commands.command import Call, Command, add_network, add_target
from vpnws.ctl.commands.targets import FORMS, describe, find_ports, one_port, read_target
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import decode
from vpnws.ctl.show import words
from vpnws.errors import AmbiguousError, ConfigError, NotFoundError

if TYPE_CHECKING:
    import argparse

    from vpnws.control.views import PortView
    from vpnws.ctl.commands.targets import Target


class _Flushed(msgspec.Struct):
    flushed: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A command that changes ports with POST ports/ID/`verb`."""

    verb: str
    done: str
    """The word that says what was done."""

    def run(self, call: Call) -> Exit:
        """Change the port that the target means, or with --all each of them."""
        body = {"reason": call.options.reason} if "reason" in call.options else {}
        answers = []
        for port in _meant(call):
            answers.append(call.api.change("POST", f"ports/{port.id}/{self.verb}", body))
            if not call.output.as_json:
                call.output.line(f"{self.done} {describe(port)}")
        show_changes(call, answers)
        return Exit.DONE


def show_changes(call: Call, answers: list[bytes]) -> None:
    """Print the answers to changes as one JSON document, if JSON is wanted."""
    if call.output.as_json:
        items = [msgspec.Raw(answer) for answer in answers]
        call.output.document(msgspec.json.encode({"items": items, "missing": []}))


def flush(call: Call) -> Exit:
    """Forget where a MAC, or every MAC of a port, is."""
    flushed = 0
    answers = []
    for body in _to_flush(call):
        answers.append(call.api.change("POST", "fdb/flush", body))
        flushed += decode(answers[-1], _Flushed).flushed
    if call.output.as_json:
        show_changes(call, answers)
    else:
        call.output.line(f"{flushed:,} FDB {'entry' if flushed == 1 else 'entries'} flushed")
    return Exit.DONE


def mac_entries(call: Call, target: Target) -> list[tuple[str, str, FdbView | AddressView]]:
    """Return network, MAC and view of each entry that a MAC or an IP address names.

    Raises NotFoundError.
    """
    query = {**target.query(), "network": call.network}
    found: list[FdbView | AddressView] = []
    if target.kind == "mac":
        found += call.api.items("fdb", query).of(FdbView)
    else:
        entries = call.api.items("addresses", query).of(AddressView)
        found += [entry for entry in entries if entry.ip == target.text]
    if not found:
        raise NotFoundError(f"{target.said} is nowhere: see `fdb` and `who`")
    return [(entry.network, entry.mac, entry) for entry in found]


def _to_flush(call: Call) -> list[dict[str, str]]:
    target = call.target
    if target is None:
        if not call.network:
            raise ConfigError("flush what? Name a TARGET, or a whole network with --network")
        return [{"network": call.network}]
    if target.kind not in ("mac", "ip"):
        return [{"port": port.id} for port in _meant(call)]
    found = {(network, mac) for network, mac, _ in mac_entries(call, target)}
    if len(found) > 1 and not call.options.all:
        raise AmbiguousError(
            f"{target.said} means {len(found)} entries: choose with --network, or use --all",
            tuple(f"{mac} in network {words.name(network)}" for network, mac in sorted(found)),
        )
    return [{"network": network, "mac": mac} for network, mac in sorted(found)]


def _meant(call: Call) -> list[PortView]:
    """Return the ports to change: one, or with --all every one that the target means."""
    target = read_target(call.options.target)
    if call.options.all:
        return find_ports(call.api, target, call.network)
    return [one_port(call.api, target, call.network, hint=", or take all of them with --all")]


def _add_ports(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument(
        "--all", action="store_true", help="every port that TARGET means, if it means several"
    )


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Add --reason."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="why; the station is told")


def _add_ports_and_reason(parser: argparse.ArgumentParser) -> None:
    _add_ports(parser)
    add_reason(parser)


def _add_flush(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help=f"whose MACs to forget; without it, all of --network: {FORMS}",
    )
    add_network(parser)
    parser.add_argument("--all", action="store_true", help="everything that TARGET means")


_EXAMPLES: Final[dict[str, Any]] = {
    "kick": """\
  vpnws-ctl kick alice --reason "please update your client"
      end alice's connection; if she has several, they are listed
  vpnws-ctl kick alice --all
      all of them
  vpnws-ctl kick 10.8.0.7
      whoever uses that address
""",
}
COMMANDS: Final = (
    Command(
        "kick",
        "end a station's connection; it may come back (see ban)",
        Change("kick", "kicked").run,
        _add_ports_and_reason,
        _EXAMPLES["kick"],
    ),
    Command(
        "block",
        "let nothing in or out at a port, until it is unblocked or goes",
        Change("block", "blocked").run,
        _add_ports_and_reason,
    ),
    Command(
        "unblock",
        "let frames in and out at a port again",
        Change("unblock", "unblocked").run,
        _add_ports,
    ),
    Command("flush", "forget where MACs are; they are learned again", flush, _add_flush),
)
