"""Settles who the two ends of a trace are, from what all processes know of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from vpnws.control.trace_target import read_target
from vpnws.control.trace_view import EndView
from vpnws.control.views import Who
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.control.rules import Rule
    from vpnws.control.trace_facts import EndFacts, GoneFacts, PortFacts
    from vpnws.control.trace_target import Target
    from vpnws.control.views import PortView

MAX_OTHERS: Final = 16
"""Further ports that are named if one word means several."""
MAX_NEAR: Final = 5
"""Names that are offered if nobody has the one that was asked for."""
MAX_NAME_CHARACTERS: Final = 64
"""A longer name is cut off in sentences."""
STRANGER: Final = b"\x02vpnws"
"""Stands for the MAC of a station that has not sent anything yet."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a trace."""

    asked: str
    mac: bytes | None = None
    port: PortFacts | None = None
    gone: GoneFacts | None = None
    """The port that it had, if it has none now."""
    ips: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    ban: Rule | None = None
    """What keeps it away, if it is not here."""
    ban_left_s: float = 0.0

    @property
    def name(self) -> str:
        """What sentences call it."""
        return one_line(self.asked, max_characters=MAX_NAME_CHARACTERS)

    @property
    def is_group(self) -> bool:
        """Whether it is a group address, not a station."""
        return self.mac is not None and bool(self.mac[0] & 1)

    @property
    def network(self) -> str:
        """The network that it is in, or was in."""
        if self.port is not None:
            return self.port.view.network
        return "" if self.gone is None else self.gone.network

    def ip(self, version: int) -> str:
        """Return an IP address of this version that it has; empty if none is known."""
        mark = "." if version == 4 else ":"
        return next((ip for ip in self.ips if mark in ip), "")


def settle(asked: str, parts: Iterable[EndFacts], network: str = "") -> End:
    """Return the end that `asked` names; of several ports, rather one in `network`, or the newest.

    `parts` are what the processes know of it.
    """
    facts, target = list(parts), read_target(asked)
    ports = sorted(chain.from_iterable(part.ports for part in facts), key=_newest_first)
    ports.sort(key=lambda port: port.view.network != network)
    gone = sorted(chain.from_iterable(part.gone for part in facts), key=lambda one: -one.left_s)
    gone.sort(key=lambda one: one.network != network)
    port = ports[0] if ports else None
    lost = None if port is not None or not gone else gone[0]
    return End(
        asked=asked,
        mac=target.mac or _mac_of(port, lost),
        port=port,
        gone=lost,
        ips=_ips(target, port),
        others=tuple(other.view.id for other in ports[1 : 1 + MAX_OTHERS]),
        near=tuple(dict.fromkeys(chain.from_iterable(part.near for part in facts)))[:MAX_NEAR],
    )


def describe(end: End, now_s: float) -> EndView:
    """Return what is shown of an end."""
    mac = format_mac(end.mac) if end.mac is not None else ""
    if end.port is not None:
        view = end.port.view
        return EndView(
            asked=end.asked,
            kind="tap" if view.kind == "tap" else "station",
            text=_here(end, view),
            port=view.id,
            process=view.process,
            network=view.network,
            mac=mac,
            who=view.who,
            role=view.role,
            others=end.others,
        )
    if end.is_group:
        return EndView(asked=end.asked, kind="group", text=f"{mac} is a group", mac=mac)
    text = tell_absent(end, now_s)
    if end.gone is None:
        return EndView(asked=end.asked, kind="unknown", text=text, mac=mac, near=end.near)
    who, network = end.gone.who, end.gone.network
    return EndView(asked=end.asked, kind="gone", text=text, network=network, mac=mac, who=who)


def tell_absent(end: End, now_s: float) -> str:
    """Say why an end that is a station has no port."""
    if end.ban is not None:
        why = f": {one_line(end.ban.reason)}" if end.ban.reason else ""
        return f"{end.name} is banned by the operator for another {end.ban_left_s:.0f} s{why}"
    return _tell_unknown(end) if end.gone is None else _tell_gone(end.name, end.gone, now_s)


def bar(end: End, rules: Iterable[Rule], now_s: float) -> End:
    """Return the same end with the ban that keeps it away, if one of `rules` does.

    `now_s` is on the clock that the rules end by.
    """
    name = read_target(end.asked).text
    who = Who(user=name, dn=name, addr=name) if end.gone is None else end.gone.who
    bans = (rule for rule in rules if rule.limits is None and rule.fits(who, end.network))
    ban = next(bans, None)
    return end if ban is None else replace(end, ban=ban, ban_left_s=ban.until_s - now_s)


def _tell_gone(name: str, gone: GoneFacts, now_s: float) -> str:
    ago_s = max(0.0, now_s - gone.heard_s)
    whose = "'s MAC" if gone.macs else ""
    reason = one_line(gone.reason) or "no reason is known"
    return (
        f"{name}{whose} was last heard {ago_s:.0f} s ago on port {gone.port}, which is down:"
        f" {reason}"
    )


def _tell_unknown(end: End) -> str:
    if end.mac is not None:
        return (
            f"no port has the MAC {format_mac(end.mac)}: nobody has sent from it, or not within"
            " vpnws-age"
        )
    near = [one_line(name, max_characters=MAX_NAME_CHARACTERS) for name in end.near]
    offer = f": did you mean {' or '.join(near)}?" if near else ""
    return f"nobody here is called '{end.name}'{offer}"


def who_at(view: PortView) -> str:
    """Say which port that is, and whose."""
    who = view.who
    name = view.device or who.user or who.dn or who.addr
    shown = one_line(name, max_characters=MAX_NAME_CHARACTERS)
    return f"port {view.id} ({shown})" if shown else f"port {view.id}"


def _here(end: End, view: PortView) -> str:
    mac = f"MAC {format_mac(end.mac)}" if end.mac is not None else "no MAC yet"
    also = f"; so {'is' if len(end.others) == 1 else 'are'} {', '.join(end.others)}"
    return (
        f"{end.name} is {who_at(view)} of {view.process}, network {view.network}, {view.role},"
        f" {mac}{also if end.others else ''}"
    )


def _newest_first(port: PortFacts) -> float:
    return -port.view.since_s


def _mac_of(port: PortFacts | None, gone: GoneFacts | None) -> bytes | None:
    if port is None:
        return parse_mac(gone.macs[0]) if gone is not None and gone.macs else None
    view = port.view
    known = [mac for mac in (*port.own_macs, view.announced_mac) if mac in view.macs]
    first = next(iter((*known, *view.macs, view.announced_mac)), "")
    return parse_mac(port.mac or first)


def _ips(target: Target, port: PortFacts | None) -> tuple[str, ...]:
    if target.kind == "ip":
        return (target.text,)
    return port.ips if port is not None else ()
