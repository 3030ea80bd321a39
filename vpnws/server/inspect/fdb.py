"""Makes views of the MACs of one process's ports, and of those that it has reserved."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

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
from vpnws.control.views import FdbView, Who
from vpnws.server.inspect.ports import who_of
from vpnws.server.naming import short_name
from vpnws.switch.guard.claims import OWN
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.control.mac_asks import FdbAsk
    from vpnws.control.rules import Pin
    from vpnws.control.views import FdbKind
    from vpnws.server.node import Node
    from vpnws.server.peers.reserved import ReservedMac
    from vpnws.server.peers.shared_rules import SharedRules
    from vpnws.switch.location import Location
    from vpnws.switch.networks import Network
    from vpnws.switch.port import AccessPort

NOBODY: Final = Who()


class FdbViews:
    """The MACs of one process, as control sees them."""

    def __init__(self, node: Node, rules: SharedRules, process: str) -> None:
        """`rules` has the pins; `process` is the name of the process that `node` serves."""
        self._node = node
        self._rules = rules
        self._process = process

    def list(self, ask: FdbAsk) -> Rows[FdbView]:
        """Return one page of the MACs that fit a filter. Raises AskError."""
        wanted = ask.filter
        try:
            start = decode_cursor(wanted.after)
            views = self._views(wanted, start)
            return take_rows((view for view in views if fits(view, wanted)), wanted.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def _views(self, wanted: Filter, start: Key) -> Iterator[FdbView]:
        """Make views one by one, in the order of `fdb_key`, of what stands after `start`."""
        networks = {network.name: network for network in self._node.switch.networks}
        away = self._away()
        mac, ip = wanted_mac(wanted), wanted_ip(wanted)
        for name in sorted({*networks, *away}):
            if wanted.network not in ("", name) or (start and name < str(start[0])):
                continue
            network, views = networks.get(name), away.get(name, {})
            macs = set(views)
            if network is not None:
                macs.update(one for one, _port in network.fdb.known.here())
            if mac is not None:
                macs &= {mac}
            if ip is not None:
                addresses = network.addresses if network is not None else ()
                macs &= {each.mac for each in addresses if each.ip == ip}
            for one in sorted(macs):
                if is_after((name, format_mac(one)), start):
                    learned = self._learned(network, one) if network is not None else None
                    view = learned or (views[one]() if one in views else None)
                    if view is not None:
                        yield view

    def _away(self) -> dict[str, dict[bytes, Callable[[], FdbView | None]]]:
        """Return what makes the views of MACs whose owners are away, by network and MAC."""
        away: dict[str, dict[bytes, Callable[[], FdbView | None]]] = {}
        reserved = list(self._node.shared.reserved)
        owners = self._owners() if reserved else {}
        for each in reserved:
            who = owners.get((each.network, each.mac), NOBODY)
            away.setdefault(each.network, {})[each.mac] = partial(self._reserved, each, who)
        # All processes know all pins: one of them shows those that are nowhere.
        for pin in self._rules.pins() if self._node.slot == 0 else ():
            mac = parse_mac(pin.mac)
            if mac is not None:
                away.setdefault(pin.network, {})[mac] = partial(self._pinned, pin, mac)
        return away

    def _learned(self, network: Network, mac: bytes) -> FdbView | None:
        """Return the view of a MAC on a port of this process; None if it is elsewhere since."""
        node = self._node
        entry = network.fdb.known.entries.get(mac)
        if entry is None or entry.local is None:
            return None
        port, there = entry.local.port, node.switch.locate(network.name, mac)
        if there is not None and not there.is_at(node.slot, port.id):
            return None
        return FdbView(
            network=network.name,
            mac=format_mac(mac),
            kind=_kind_of(port, mac, there),
            port=short_name(node.slot, port.id),
            process=self._process,
            who=who_at(node, port),
            heard_s=node.unix_s(entry.seen_s),
        )

    def _reserved(self, reserved: ReservedMac, who: Who) -> FdbView | None:
        """Return the view of a MAC that this process has reserved, unless that is over."""
        node = self._node
        there = node.switch.locate(reserved.network, reserved.mac)
        # Another process may have reserved it anew: then it is that one's to show.
        if there is None or there.is_somewhere or there.until_s != reserved.until_s:
            node.shared.reserved.forget(reserved)
            return None
        return FdbView(
            network=reserved.network,
            mac=format_mac(reserved.mac),
            kind="reserved",
            who=who,
            until_s=node.unix_s(there.until_s),
        )

    def _pinned(self, pin: Pin, mac: bytes) -> FdbView | None:
        """Return the view of a pinned MAC, unless it is somewhere."""
        there = self._node.switch.locate(pin.network, mac)
        if there is None or there.is_somewhere:
            return None
        who = Who(user=pin.user, dn=pin.dn)
        return FdbView(network=pin.network, mac=pin.mac, kind="pinned", who=who)

    def _owners(self) -> dict[tuple[str, bytes], Who]:
        """Return whose the MACs were of stations that have left, by network and MAC."""
        return {
            (gone.network, mac): who_of(gone.identity)
            for gone in reversed(list(self._node.departed))
            if gone.identity is not None
            for mac in gone.macs
        }


def _kind_of(port: AccessPort, mac: bytes, there: Location | None) -> FdbKind:
    if there is not None and there.is_pinned:
        return "pinned"
    return "own" if port.claim_on(mac) == OWN else "learned"


def wanted_mac(wanted: Filter) -> bytes | None:
    """Return the MAC that a filter names; None if it names none. Raises ValueError."""
    mac = parse_mac(wanted.mac)
    if wanted.mac and mac is None:
        raise ValueError("mac must be a whole MAC, such as 02:00:00:00:00:0a; q finds parts of one")
    return mac


def wanted_ip(wanted: Filter) -> bytes | None:
    """Return the IP address that a filter names; None if it names none. Raises ValueError."""
    return ip_address(wanted.ip).packed if wanted.ip else None


def who_at(node: Node, port: AccessPort) -> Who:
    """Return whose station is at a port; a TAP has nobody's."""
    link = node.links.get(port.id)
    return who_of(link.session.identity) if link is not None else NOBODY


def fits(row: FdbView, wanted: Filter) -> bool:
    """Return whether a row is one of those that a filter wants."""
    return (
        wanted.user in ("", row.who.user)
        and wanted.port in ("", row.port)
        and (not wanted.q or contains(wanted.q, row.network, row.mac, row.port, row.who, row.kind))
    )
