"""Makes views of one process's ports: of its stations, its TAPs and its trunks."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from vpnws.control.asks import AskError
from vpnws.control.paging import Filter, Rows, decode_cursor, is_after, take_rows
from vpnws.control.ports import port_key
from vpnws.control.views import Limits, PortView, Traffic, Who
from vpnws.server.naming import number_of, short_name, trunk_name
from vpnws.switch.guard.blocking import role_of
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
    from vpnws.switch.port import AccessPort, Port

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
            views = (view for view in self._views(has_trunks=ask.has_trunks) if fits(view, wanted))
            rows = (view for view in views if is_after(port_key(view), start))
            return take_rows(rows, wanted.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def of(self, port: AccessPort) -> PortView:
        """Return the view of one port of a station or a TAP."""
        link = self._node.links.get(port.id)
        return self._tap(port) if link is None else self._station(link)

    def count_trunks(self) -> int:
        """Return how many trunks the process has."""
        return len(self._node.switch.trunks)

    def _views(self, *, has_trunks: bool) -> Iterator[PortView]:
        """Make views one by one, in the order of `port_key`."""
        node = self._node
        trunks = sorted(node.switch.trunks.items()) if has_trunks else []
        for slot, trunk in trunks:
            yield self._view(
                trunk,
                kind="trunk",
                id=trunk_name(node.slot, slot),
                device=node.names.peer(slot),
                since_s=self._unix_s(node.since_s),
            )
        links = {link.port.id: link for link in node.links.values()}
        uplinks = {port.id: port for port in node.uplinks}
        for port_id in sorted(chain(links, uplinks), key=number_of):
            yield self._station(links[port_id]) if port_id in links else self._tap(uplinks[port_id])

    def view(self, port: AccessPort) -> PortView:
        """Return the view of one port of a station or of a TAP."""
        link = self._node.links.get(port.id)
        return self._station(link) if link is not None else self._tap(port)

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
            since_s=self._unix_s(link.times.opened_s),
            heard_s=self._unix_s(link.times.heard_s),
        )

    def _tap(self, port: AccessPort) -> PortView:
        node = self._node
        since_s = self._unix_s(node.uplinks[port])
        device = dict(node.settings.tap)[port.origin.network]
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
            traffic=Traffic(
                rx_frames=port.rx_frames,
                rx_bytes=port.rx_bytes,
                tx_frames=port.tx_frames,
                tx_bytes=port.tx_bytes,
            ),
            drops=by_name(port.drops),
            recent_drops=by_name(node.reports.recent(port, node.loop.now())) if port.drops else {},
            marks=port.egress.counts.marked,
            queued_bytes=port.egress.size_bytes,
            **facts,
        )

    def _unix_s(self, at_s: float) -> float:
        loop = self._node.loop
        return loop.unix_s() - (loop.now() - at_s)


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
        and wanted.port in ("", port.id)
        and (not wanted.mac or wanted.mac.lower() in (port.announced_mac, *port.macs))
        and (not wanted.q or _contains(port, wanted.q.lower()))
    )


def by_name(drops: Mapping[Drop, int]) -> dict[str, int]:
    """Return counts of drops by the names of their reasons."""
    return {reason.value: count for reason, count in drops.items()}


def _contains(port: PortView, text: str) -> bool:
    who = port.who
    shown = (port.id, port.network, who.user, who.dn, who.addr, port.device, port.role)
    return any(text in part.lower() for part in (*shown, port.announced_mac, *port.macs))


def _clean(name: str) -> str:
    """Return a name whose bytes were not UTF-8 with replacement characters instead of them."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _mac(mac: bytes | None) -> str:
    return format_mac(mac) if mac else ""


def _allow(networks: Iterable[IpNetwork] | None) -> tuple[str, ...] | None:
    return None if networks is None else tuple(map(str, networks))
