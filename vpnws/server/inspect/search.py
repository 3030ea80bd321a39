"""Finds the ports of one process by what an operator calls them: MAC, id, IP address or name."""

from __future__ import annotations

from difflib import get_close_matches
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Final

from vpnws.control.ports import parse_port
from vpnws.control.trace_facts import EndFacts, GoneFacts, PortFacts
from vpnws.control.views import Who
from vpnws.server.inspect.ports import who_of
from vpnws.server.naming import number_of, short_name
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.server.inspect.ports import PortViews
    from vpnws.server.node import Node
    from vpnws.server.port.departed import DepartedPort
    from vpnws.switch.port import AccessPort

MAX_FOUND: Final = 8
"""Ports of one process that one word finds; further ones are left out."""
MAX_NEAR: Final = 3
"""Names that are offered if nobody has the one that was asked for."""
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
        mac = parse_mac(word)
        ports = self._with_mac(mac) if mac is not None else self._named(word)
        found = [port for port in ports if network in ("", port.origin.network)]
        gone = (port for port in self._gone(word, mac) if network in ("", port.network))
        return EndFacts(
            ports=tuple(map(self._facts, found[:MAX_FOUND])),
            gone=tuple(map(self._gone_facts, islice(gone, MAX_FOUND))),
            near=() if found or mac is not None else self._near(word),
        )

    def _ports(self) -> Iterator[AccessPort]:
        for network in self._node.switch.networks:
            yield from network.ports.values()

    def _with_mac(self, mac: bytes) -> list[AccessPort]:
        """Return the ports that have a MAC, or that announced it and have no other."""
        found = []
        for network in self._node.switch.networks:
            entry = network.fdb.known.entries.get(mac)
            if entry is not None and entry.local is not None:
                found.append(entry.local.port)
        announced = [port for port in self._ports() if self._announced(port) == mac]
        return found or announced

    def _named(self, word: str) -> list[AccessPort]:
        numbers = parse_port(word)
        if numbers is not None:
            return [port for port in self._ports() if numbers == self._numbers(port.id)]
        named = [port for port in self._ports() if word in self._names(port)]
        return named or [port for port in self._ports() if self._comes_from(port, word)]

    def _numbers(self, port_id: int) -> tuple[int, int]:
        return self._node.slot + 1, number_of(port_id)

    def _names(self, port: AccessPort) -> list[str]:
        """Return what a port is called: user and DN of a station, or the TAP."""
        link = self._node.links.get(port.id)
        if link is None:
            names = [dict(self._node.settings.tap).get(port.origin.network, "")]
        else:
            who = who_of(link.session.identity)
            names = [who.user, who.dn]
        return [name for name in names if name]

    def _comes_from(self, port: AccessPort, address: str) -> bool:
        """Return whether a station's connection comes from `address`."""
        link = self._node.links.get(port.id)
        try:
            return link is not None and ip_address(address) == ip_address(
                link.session.identity.remote_addr
            )
        except ValueError:
            return False

    def _announced(self, port: AccessPort) -> bytes | None:
        link = self._node.links.get(port.id)
        return None if link is None else link.session.announced_mac

    def _gone(self, word: str, mac: bytes | None) -> Iterator[DepartedPort]:
        numbers = parse_port(word)
        for port in self._node.departed:
            if mac is not None:
                is_it = mac in port.macs
            elif numbers is not None:
                is_it = numbers == self._numbers(port.port_id)
            elif port.identity is not None:
                who = who_of(port.identity)
                is_it = bool(word) and word in (who.user, who.dn)
            else:
                is_it = word == dict(self._node.settings.tap).get(port.network)
            if is_it:
                yield port

    def _near(self, word: str) -> tuple[str, ...]:
        names = (name for port in self._ports() for name in self._names(port))
        known = dict.fromkeys(islice(names, MAX_NAMES_COMPARED))
        return tuple(get_close_matches(word, known, n=MAX_NEAR))

    def _facts(self, port: AccessPort) -> PortFacts:
        return PortFacts(
            view=self._views.of(port),
            label=port.origin.label,
            own_macs=tuple(map(format_mac, sorted(port.own or ()))),
            hears_floods=port.hears_floods,
            max_frame_bytes=port.max_frame_bytes,
            storm_tokens=port.storm.tokens(self._node.loop.now()),
            is_backed_up=port.egress.backed_up,
        )

    def _gone_facts(self, port: DepartedPort) -> GoneFacts:
        loop = self._node.loop
        ahead_s = loop.unix_s() - loop.now()
        heard_s = port.left_s if port.heard_s is None else port.heard_s
        is_tap = port.identity is None
        return GoneFacts(
            port=short_name(self._node.slot, port.port_id),
            kind="tap" if is_tap else "station",
            process=self._process,
            network=port.network,
            who=Who() if port.identity is None else who_of(port.identity),
            device=dict(self._node.settings.tap).get(port.network, "") if is_tap else "",
            macs=tuple(map(format_mac, sorted(port.macs))),
            heard_s=ahead_s + heard_s,
            left_s=ahead_s + port.left_s,
            reason=port.reason,
        )
