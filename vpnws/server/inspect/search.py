"""Finds the ports of one process by what an operator calls them: MAC, id, IP address or name."""

from __future__ import annotations

from difflib import get_close_matches
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Final

from vpnws.control.ports import parse_port
from vpnws.control.trace_facts import EndFacts, GoneFacts, PortFacts
from vpnws.control.trace_target import NAME, read_target
from vpnws.control.views import Who
from vpnws.server.inspect.ports import find_port, who_of
from vpnws.server.naming import number_of, short_name
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.trace_target import Target
    from vpnws.server.inspect.ports import PortViews
    from vpnws.server.node import Node
    from vpnws.server.port.departed import DepartedPort
    from vpnws.switch.port import AccessPort

MAX_FOUND: Final = 8
"""Ports of one process that one word finds; further ones are left out."""
MAX_NEAR: Final = 3
"""Names that are offered if nobody has the one that was asked for."""
MAX_IPS: Final = 8
"""IP addresses of one port that a trace looks at."""
MAX_NAMES_COMPARED: Final = 500
"""Names of one process that are compared with one that nobody has."""


class Search:
    """The ports of one process, and those that have gone."""

    def __init__(self, node: Node, views: PortViews, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._views = views
        self._process = process

    def find(self, word: str, network: str) -> EndFacts:
        """Return the ports that `word` names; with `network`, only those in it."""
        target = read_target(word)
        heard = self._heard(target)
        ports = [*heard] or self._with_mac(target.mac) or self._named(target)
        found = [port for port in ports if network in ("", port.origin.network)]
        gone = [port for port in self._gone(target) if network in ("", port.network)]
        return EndFacts(
            ports=tuple(
                self._facts(port, target.mac, heard.get(port)) for port in found[:MAX_FOUND]
            ),
            gone=tuple(map(self._gone_facts, gone[:MAX_FOUND])),
            near=() if found else self._near(target),
        )

    def _ports(self) -> Iterator[AccessPort]:
        return self._node.switch.networks.access_ports()

    def _with_mac(self, mac: bytes | None) -> list[AccessPort]:
        """Return the ports that have a MAC, or that announced it and have no other."""
        if mac is None:
            return []
        here = [network.fdb.known.port_here(mac) for network in self._node.switch.networks]
        found = [port for port in here if port is not None]
        return found or [port for port in self._ports() if self._announced(port) == mac]

    def _heard(self, target: Target) -> dict[AccessPort, bytes]:
        """Return the ports where an IP address was heard, with its MAC there; the last one first.

        In a tagged VLAN an address may be another host's, so only untagged ones count.
        """
        if target.kind != "ip":
            return {}
        there = [
            address
            for network in self._node.switch.networks
            for address in network.addresses
            if not address.key[0] and str(ip_address(address.key[1])) == target.text
        ]
        there.sort(key=lambda address: -address.heard_s)
        return {address.port: address.mac for address in there}

    def _ips(self, port: AccessPort, mac: bytes | None) -> tuple[str, ...]:
        """Return IP addresses heard at a port, of one MAC there if that was asked for."""
        there = (
            str(ip_address(address.key[1]))
            for address in self._node.switch.networks.of(port.origin).addresses
            if address.port is port and mac in (None, address.mac) and not address.key[0]
        )
        return tuple(islice(there, MAX_IPS))

    def _named(self, target: Target) -> list[AccessPort]:
        if target.kind == "port":
            found = find_port(self._node, target.text)
            return [] if found is None else [found]
        if not target.is_of_station:
            return []
        return [port for port in self._ports() if _fits(target, self._who(port), self._tap(port))]

    def _numbers(self, port_id: int) -> tuple[int, int]:
        return self._node.slot + 1, number_of(port_id)

    def _who(self, port: AccessPort) -> Who | None:
        link = self._node.links.get(port.id)
        return None if link is None else who_of(link.session.identity)

    def _tap(self, port: AccessPort) -> str:
        return self._node.tap_of(port.origin.network) if port.id not in self._node.links else ""

    def _announced(self, port: AccessPort) -> bytes | None:
        link = self._node.links.get(port.id)
        return None if link is None else link.session.announced_mac

    def _gone(self, target: Target) -> Iterator[DepartedPort]:
        mac, numbers = target.mac, parse_port(target.text) if target.kind == "port" else None
        for port in self._node.departed:
            is_it = mac in port.macs or numbers == self._numbers(port.port_id)
            if is_it or (target.is_of_station and _fits(target, *self._was(port))):
                yield port

    def _was(self, port: DepartedPort) -> tuple[Who | None, str]:
        if port.identity is None:
            return None, self._node.tap_of(port.network)
        return who_of(port.identity), ""

    def _near(self, target: Target) -> tuple[str, ...]:
        if not target.is_of_station:
            return ()
        names = (name for port in self._ports() for name in self._names(port))
        known = dict.fromkeys(islice(names, MAX_NAMES_COMPARED))
        return tuple(get_close_matches(target.text, known, n=MAX_NEAR))

    def _names(self, port: AccessPort) -> Iterator[str]:
        who = self._who(port)
        yield from filter(None, (self._tap(port),) if who is None else (who.user, who.dn))

    def _facts(self, port: AccessPort, asked: bytes | None, heard: bytes | None) -> PortFacts:
        return PortFacts(
            view=self._views.of(port),
            label=port.origin.label,
            own_macs=tuple(map(format_mac, sorted(port.own or ()))),
            hears_floods=port.hears_floods,
            max_frame_bytes=port.max_frame_bytes,
            storm_tokens=port.storm.tokens(self._node.loop.now()),
            is_backed_up=port.egress.backed_up,
            mac="" if heard is None else format_mac(heard),
            ips=self._ips(port, asked or heard),
        )

    def _gone_facts(self, port: DepartedPort) -> GoneFacts:
        node = self._node
        heard_s = port.left_s if port.heard_s is None else port.heard_s
        is_tap = port.identity is None
        return GoneFacts(
            port=short_name(self._node.slot, port.port_id),
            kind="tap" if is_tap else "station",
            process=self._process,
            network=port.network,
            who=Who() if port.identity is None else who_of(port.identity),
            device=self._node.tap_of(port.network) if is_tap else "",
            macs=tuple(map(format_mac, sorted(port.macs))),
            heard_s=node.unix_s(heard_s),
            left_s=node.unix_s(port.left_s),
            reason=port.reason,
        )


def _fits(target: Target, who: Who | None, tap: str) -> bool:
    """Return whether a target names a station that is `who`, or the TAP `tap`."""
    if not target.text:
        return False
    if target.kind == NAME:
        return target.text == tap if who is None else target.text in (who.user, who.dn)
    if who is None:
        return False
    named = {"user": who.user, "dn": who.dn, "addr": who.addr}
    return target.text == named[target.kind]
