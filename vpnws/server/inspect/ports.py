"""Makes views of one process's ports: of its stations, its TAPs and its trunks."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from vpnws.control.asks import AskError
from vpnws.control.paging import (
    Filter,
    Key,
    Rows,
    contains,
    decode_cursor,
    is_after,
    take_rows,
)
from vpnws.control.ports import id_key, parse_port
from vpnws.control.views import Limits, PortView, Traffic, Who
from vpnws.server.naming import name_of, number_of, short_name
from vpnws.switch.guard.blocking import role_of
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vpnws.control.asks import PortsAsk
    from vpnws.server.node import Node
    from vpnws.server.port.link import Link
    from vpnws.server.web.identity import Identity
    from vpnws.switch.drop import Drop
    from vpnws.switch.guard.destinations import IpNetwork
    from vpnws.switch.guard.roles import Role
    from vpnws.switch.port import Port
    from vpnws.switch.totals import Totals

MAX_MACS_SHOWN: Final = 16
"""MACs of one port that are shown with it; all of them are in the list of the FDB."""


class PortViews:
    """The ports of one process, as control sees them."""

    def __init__(self, node: Node, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._process = process

    def list(self, ask: PortsAsk) -> Rows[PortView]:
        """Return one page of the ports that fit a filter. Raises AskError."""
        wanted = ask.filter
        try:
            start = decode_cursor(wanted.after)
            ports = self._ports(has_trunks=ask.has_trunks)
            # To make a view takes far longer than to see that it is not wanted.
            views = (self.of(port) for port in ports if self._is_wanted(port, wanted, start))
            return take_rows((view for view in views if fits(view, wanted)), wanted.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def of(self, port: Port) -> PortView:
        """Return the view of one port."""
        if not isinstance(port, AccessPort):
            return self._trunk(port)
        link = self._node.links.get(port.id)
        return self._tap(port) if link is None else self._station(link)

    def count_trunks(self) -> int:
        """Return how many trunks the process has."""
        return len(self._node.switch.trunks)

    def _ports(self, *, has_trunks: bool) -> Iterator[Port]:
        """Go through the ports, in the order of `port_key`."""
        node = self._node
        if has_trunks:
            yield from (trunk for _slot, trunk in sorted(node.switch.trunks.items()))
        ports = chain((link.port for link in node.links.values()), node.uplinks)
        yield from sorted(ports, key=lambda port: number_of(port.id))

    def _is_wanted(self, port: Port, wanted: Filter, start: Key) -> bool:
        """Return whether a port may be on a page, as far as that is seen without its view."""
        name = name_of(self._node.slot, port)
        return wanted.port in ("", name) and is_after(id_key(name), start)

    def _trunk(self, trunk: Port) -> PortView:
        node = self._node
        return self._view(
            trunk,
            kind="trunk",
            id=name_of(node.slot, trunk),
            device=node.names.peer(trunk.id),
            since_s=node.unix_s(node.since_s),
        )

    def _station(self, link: Link) -> PortView:
        session, port = link.session, link.port
        return self._access(
            port,
            kind="station",
            who=who_of(session.identity),
            announced_mac=_mac(session.announced_mac),
            allow=_allow(session.rights.allow),
            may_bridge=session.rights.may_bridge,
            subprotocol=session.subprotocol,
            since_s=self._node.unix_s(link.times.opened_s),
            heard_s=self._node.unix_s(link.times.heard_s),
        )

    def _tap(self, port: AccessPort) -> PortView:
        node = self._node
        since_s, device = node.unix_s(node.uplinks[port]), node.tap_of(port.origin.network)
        return self._access(port, kind="tap", device=device, since_s=since_s)

    def _access(self, port: AccessPort, **facts: Any) -> PortView:
        macs = sorted(self._node.switch.stations_of(port))
        return self._view(
            port,
            id=short_name(self._node.slot, port.id),
            network=port.origin.network,
            macs=tuple(map(format_mac, macs[:MAX_MACS_SHOWN])),
            mac_count=len(macs),
            role=describe_role(role_of(port)),
            is_blocked=port.block is not None,
            block_reason=port.block.reason if port.block is not None else "",
            limits=Limits(
                storm_packets_per_s=port.storm.rate,
                stations=port.station_limit,
                egress_bytes=port.egress.limit_bytes,
            ),
            **facts,
        )

    def _view(self, port: Port, **facts: Any) -> PortView:
        node = self._node
        return PortView(
            process=self._process,
            traffic=traffic_of(port),
            drops=by_name(port.drops),
            recent_drops=by_name(node.reports.recent(port, node.loop.now())) if port.drops else {},
            marks=port.egress.counts.marked,
            queued_bytes=port.egress.size_bytes,
            **facts,
        )


def find_port(node: Node, name: str) -> AccessPort | None:
    """Return the port of a station or a TAP with a name such as `2.7`; None if it has gone."""
    numbers = parse_port(name)
    for port in node.switch.networks.access_ports():
        if numbers == (node.slot + 1, number_of(port.id)):
            return port
    return None


def who_of(identity: Identity) -> Who:
    """Return who a station is, in text that JSON can hold."""
    return Who(
        user=_clean(identity.remote_user), dn=_clean(identity.dn), addr=_clean(identity.remote_addr)
    )


def describe_role(role: Role) -> str:
    """Return a role as the web server would write it."""
    return role.kind.name.lower() + (role.community and f":{role.community}")


def fits(port: PortView, wanted: Filter) -> bool:
    """Return whether a port is one of those that a filter wants."""
    return (
        wanted.network in ("", port.network)
        and wanted.user in ("", port.who.user)
        and (not wanted.mac or wanted.mac.lower() in (port.announced_mac, *port.macs))
        and (not wanted.q or contains(wanted.q, *_shown(port)))
    )


def traffic_of(counted: Port | Totals) -> Traffic:
    """Return what has passed a port, or what has been counted together."""
    return Traffic(
        rx_frames=counted.rx_frames,
        rx_bytes=counted.rx_bytes,
        tx_frames=counted.tx_frames,
        tx_bytes=counted.tx_bytes,
    )


def by_name(drops: Mapping[Drop, int]) -> dict[str, int]:
    """Return counts of drops by the names of their reasons."""
    return {reason.value: count for reason, count in drops.items()}


def _shown(port: PortView) -> tuple[str | Who, ...]:
    """Return the texts of a port that people look for."""
    named = (port.id, port.network, port.who, port.device, port.role)
    return (*named, port.announced_mac, *port.macs)


def _clean(name: str) -> str:
    """Return a name whose bytes were not UTF-8 with replacement characters instead of them."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _mac(mac: bytes | None) -> str:
    return format_mac(mac) if mac else ""


def _allow(networks: Iterable[IpNetwork] | None) -> tuple[str, ...] | None:
    return None if networks is None else tuple(map(str, networks))
