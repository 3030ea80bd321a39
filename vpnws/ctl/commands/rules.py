"""The commands about what stays: ban, unban, bans; pin, unpin, pins; set, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vpnws.commandline import units
from vpnws.control.views import BanView, Limits, LimitsView, PinView, Who
from vpnws.ctl.commands import look
from vpnws.ctl.commands.change import add_reason, mac_entries, show_changes
from vpnws.ctl.commands.command import Call, Command, add_network, add_target
from vpnws.ctl.commands.entries import Entries, add_removal
from vpnws.ctl.commands.targets import (
    FORMS,
    describe,
    find_identity,
    find_owner,
    identity_body,
    one_port,
    read_target,
)
from vpnws.ctl.commands.values import count, duration_s
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import decode
from vpnws.ctl.show import words
from vpnws.ctl.show.table import Column
from vpnws.errors import AmbiguousError, ConfigError, NotFoundError

if TYPE_CHECKING:
    import argparse

DEFAULT_BAN_S: Final = 3600
"""How long a ban lasts without --for."""
_LIMITS: Final = Limits.__struct_fields__


def ban(call: Call) -> Exit:
    """Keep somebody out for a time."""
    who = find_identity(call.api, read_target(call.options.target), call.network)
    body = {
        **identity_body(who),
        "network": call.network,
        "for_s": call.options.time_s,
        "reason": call.options.reason,
    }
    data = call.api.change("POST", "bans", body)
    if call.output.as_json:
        show_changes(call, [data])
    else:
        view = decode(data, BanView)
        until = words.moment(view.until_s)
        call.output.line(f"banned {words.name(_whom(view))} until {until} (unban {view.id})")
    return Exit.DONE


def pin(call: Call) -> Exit:
    """Give a MAC to one identity until it is unpinned."""
    target = read_target(call.options.target)
    if target.kind not in ("mac", "ip"):
        raise ConfigError(f"{target.said} is not a MAC or an IP address: pin MAC [OWNER]")
    network, mac, owner = _where_and_whose(call)
    whose = {"user": owner.user, "dn": owner.dn}
    data = call.api.change("POST", "pins", {"network": network, "mac": mac, **whose})
    if call.output.as_json:
        show_changes(call, [data])
    else:
        view = decode(data, PinView)
        call.output.line(
            f"pinned {view.mac} in network {words.name(view.network)} to"
            f" {words.name(view.user or view.dn)} (unpin {view.id})"
        )
    return Exit.DONE


def set_limits(call: Call) -> Exit:
    """Change limits of one port, or of every port of an identity."""
    target = read_target(call.options.target)
    given = {name: getattr(call.options, name) for name in _LIMITS}
    wanted = {name: value for name, value in given.items() if value is not None}
    if call.options.clear:
        if wanted:
            raise ConfigError("--clear takes all limits of an identity away: give no other option")
        return LIMITS.remove(call)
    if not wanted:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _LIMITS)
        raise ConfigError(f"set what? Give one or more of {options}")
    if target.kind in ("user", "dn"):
        return _set_for_identity(call, wanted)
    port = one_port(call.api, target, call.network)
    answer = call.api.change("PATCH", f"ports/{port.id}", wanted)
    if not call.output.as_json:
        call.output.line(f"set {_told(wanted)} at {describe(port)}, until it goes")
    show_changes(call, [answer])
    return Exit.DONE


def _set_for_identity(call: Call, wanted: dict[str, int]) -> Exit:
    who = find_identity(call.api, read_target(call.options.target), call.network)
    body = {**identity_body(who), "network": call.network, "limits": wanted}
    data = call.api.change("POST", "limits", body)
    if call.output.as_json:
        show_changes(call, [data])
    else:
        view = decode(data, LimitsView)
        call.output.line(
            f"set {_told(wanted)} for {words.name(view.user or view.dn)}, at all ports, now and"
            f" later (to undo: set {words.name(view.user or view.dn)} --clear)"
        )
    return Exit.DONE


def _where_and_whose(call: Call) -> tuple[str, str, Who]:
    """Return network, MAC and owner of what to pin. Raises NotFoundError, AmbiguousError."""
    target = read_target(call.options.target)
    if target.kind == "mac" and call.options.owner and call.network:
        owner = find_owner(call.api, read_target(call.options.owner), call.network)
        return call.network, target.text, owner
    try:
        found = mac_entries(call, target)
    except NotFoundError as error:
        if target.kind != "mac" or not call.options.owner:
            raise
        raise NotFoundError(f"{error}; to pin it before it comes, name its --network") from None
    if len(found) > 1:
        raise AmbiguousError(
            f"{target.said} is in {len(found)} places: choose with --network",
            tuple(f"{mac} in network {words.name(network)}" for network, mac, _ in found),
        )
    ((network, mac, entry),) = found
    if call.options.owner:
        return network, mac, find_owner(call.api, read_target(call.options.owner), network)
    if not entry.who.user and not entry.who.dn:
        raise ConfigError(f"{mac} has no owner with a user or a DN: name one behind the MAC")
    return network, mac, entry.who


def _told(wanted: dict[str, int]) -> str:
    shown = Limits(**{name: value or None for name, value in wanted.items()})
    removed = [name for name, value in wanted.items() if not value]
    parts = [look.limits(shown)] if len(removed) < len(wanted) else []
    return ", ".join([*parts, *(f"no {name} limit" for name in removed)])


def _whom(entry: Any) -> str:
    named: str = entry.user or entry.dn or getattr(entry, "addr", "")
    return named


def _ban_columns(now_s: float) -> list[Column[Any]]:
    return [
        *_common(),
        Column("LEFT", lambda ban: units.duration(ban.until_s - now_s), is_number=True),
        Column("UNTIL", lambda ban: words.moment(ban.until_s)),
        Column("BY", lambda ban: words.name(ban.by)),
        Column("REASON", lambda ban: words.sentence(ban.reason), wraps=True),
    ]


def _pin_columns(_now_s: float) -> list[Column[Any]]:
    return [*_common(), Column("MAC", lambda pin: words.name(pin.mac))]


def _limits_columns(_now_s: float) -> list[Column[Any]]:
    return [*_common(), Column("LIMITS", lambda each: look.limits(each.limits))]


def _common() -> list[Column[Any]]:
    return [
        Column("ID", lambda entry: words.name(entry.id)),
        Column("WHO", lambda entry: words.name(_whom(entry))),
        Column("NETWORK", lambda entry: words.name(entry.network or "all")),
    ]


def _add_ban(parser: argparse.ArgumentParser) -> None:
    add_target(parser, what="whom to ban (addr:ADDRESS for where stations come from)")
    parser.add_argument(
        "--for",
        dest="time_s",
        metavar="TIME",
        type=duration_s,
        default=DEFAULT_BAN_S,
        help="how long, such as 90s, 15m, 2h, 7d (default: 1h)",
    )
    add_reason(parser)


def _add_pin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="MAC", help="a MAC, or an IP address that uses it")
    parser.add_argument(
        "owner",
        metavar="OWNER",
        nargs="?",
        default="",
        help=f"whose (default: who has it): {FORMS}",
    )
    add_network(parser)


def _add_set(parser: argparse.ArgumentParser) -> None:
    add_target(parser, what="a user or dn:TEXT for all its ports, else one port")
    for name, metavar, says in (
        (
            "storm-packets-per-s",
            "N",
            "broadcast, multicast and unknown packets per second; 0 for no limit",
        ),
        ("stations", "N", "MACs that it may have"),
        ("egress-bytes", "BYTES", "how much may wait in its queue"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, type=count, help=says)
    parser.add_argument("--clear", action="store_true", help="take an identity's limits away")
    parser.add_argument("--all", action="store_true", help="with --clear: of every network")


BANS: Final = Entries("bans", BanView, "ban", _ban_columns)
PINS: Final = Entries("pins", PinView, "pin", _pin_columns)
LIMITS: Final = Entries("limits", LimitsView, "limits entry", _limits_columns)
_BAN_EXAMPLES: Final = """\
  vpnws-ctl ban alice --for 2h --reason "compromised laptop"
      alice cannot join for two hours, from anywhere, whether she is here now or not
  vpnws-ctl ban 2.7 --network guests
      whoever is at port 2.7, for an hour, in the network guests only
  vpnws-ctl ban addr:203.0.113.9 --for 1d
      every station that comes from that address
"""
COMMANDS: Final = (
    Command("ban", "keep somebody out for a time", ban, _add_ban, _BAN_EXAMPLES),
    Command("unban", "let somebody in again", BANS.remove, add_removal),
    Command("bans", "who is kept out, and until when", BANS.list, add_network),
    Command("set", "change limits of a port or of an identity", set_limits, _add_set),
    Command("limits", "identities with limits of their own", LIMITS.list, add_network),
    Command("pin", "give a MAC to one identity until it is unpinned", pin, _add_pin),
    Command("unpin", "let a MAC go", PINS.remove, add_removal),
    Command("pins", "every MAC that is pinned", PINS.list, add_network),
)
