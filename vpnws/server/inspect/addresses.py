"""Makes views of the IP addresses heard on one process's ports, and reports new and moved ones."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError
from vpnws.control.events import Event
from vpnws.control.macs import address_key
from vpnws.control.paging import Filter, Rows, contains, decode_cursor, is_after, take_rows
from vpnws.control.views import AddressView
from vpnws.server.inspect.fdb import NOBODY, wanted_ip, wanted_mac, who_at
from vpnws.server.inspect.ports import who_of
from vpnws.server.naming import short_name
from vpnws.text import log_value
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.mac_asks import AddressesAsk
    from vpnws.control.views import FieldValue
    from vpnws.server.node import Node
    from vpnws.switch.addresses import Address, News

REPORT_EVERY_S: Final = 1.0
"""Addresses that are new or have moved are reported this often."""


class AddressViews:
    """The addresses that one process has heard, as control sees them."""

    def __init__(self, node: Node) -> None:
        """`node` has the ports."""
        self._node = node
        self._ticker = node.loop.every(REPORT_EVERY_S, self._report)

    def list(self, ask: AddressesAsk) -> Rows[AddressView]:
        """Return one page of the addresses that fit a filter. Raises AskError."""
        wanted = ask.filter
        try:
            start = decode_cursor(wanted.after)
            views = (view for view in self._views(wanted) if fits(view, wanted))
            rows = (view for view in views if is_after(address_key(view), start))
            return take_rows(rows, wanted.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def _views(self, wanted: Filter) -> Iterator[AddressView]:
        """Make views one by one, in the order of `address_key`."""
        mac, ip = wanted_mac(wanted), wanted_ip(wanted)
        leasing = self._node.leasing
        leased = leasing.here() if leasing is not None else frozenset()
        for network in sorted(self._node.switch.networks, key=lambda each: each.name):
            if wanted.network not in ("", network.name):
                continue
            found = [
                each
                for each in network.addresses
                if ip in (None, each.ip) and mac in (None, each.mac)
            ]
            for address in sorted(found, key=_order):
                is_leased = (network.name, address.key[1]) in leased
                yield self._view(network.name, address, is_leased)

    def _view(self, network: str, address: Address, is_leased: bool) -> AddressView:
        node = self._node
        vlans, ip = address.key
        return AddressView(
            network=network,
            ip=str(ip_address(ip)),
            mac=format_mac(address.mac),
            who=who_at(self._node, address.port),
            source=address.by.value,
            vlans=vlans,
            heard_s=node.unix_s(address.heard_s),
            until_s=node.unix_s(address.until_s),
            port=short_name(self._node.slot, address.port.id),
            is_leased=is_leased,
        )

    def _report(self) -> None:
        """Note which addresses are new, and which have moved."""
        for news in self._node.switch.networks.address_news.take():
            self._note(news)

    def _note(self, news: News) -> None:
        node = self._node
        port, fields = self._place(news)
        vlans, ip = news.key
        tags = f" in VLAN {'.'.join(map(str, vlans))}" if vlans else ""
        what = f"address {ip_address(ip)}{tags} of network {log_value(news.network)}"
        now_at = f"{format_mac(news.mac)} at {port} ({news.by.value})"
        fields |= {
            "network": news.network,
            "mac": format_mac(news.mac),
            "ip": str(ip_address(ip)),
            "source": news.by.value,
        }
        if news.before is None:
            node.journal.note(Event.ADDRESS, f"{what} is that of {now_at}", **fields)
            return
        from_port, from_mac = (
            short_name(node.slot, news.before.port_id),
            format_mac(news.before.mac),
        )
        node.journal.note(
            Event.ADDRESS_MOVED,
            f"{what} has moved from {from_mac} at port {from_port} to {now_at}: if it comes back,"
            " two hosts want the same address",
            **fields,
            from_port=from_port,
            from_mac=from_mac,
        )

    def _place(self, news: News) -> tuple[str, dict[str, FieldValue]]:
        """Return where the MAC of an address is now, in words and as fields with its station."""
        node = self._node
        there = node.switch.locate(news.network, news.mac)
        if there is None or not there.is_somewhere:
            return "no port", {}
        name = short_name(there.slot, there.port_id)
        link = node.links.get(there.port_id) if there.slot == node.slot else None
        who = who_of(link.session.identity) if link is not None else NOBODY
        return f"port {name}", {"port": name, "user": who.user, "dn": who.dn, "addr": who.addr}


def _order(address: Address) -> tuple[int, bytes, str]:
    vlans, ip = address.key
    return len(ip), ip, ".".join(map(str, vlans))


def fits(row: AddressView, wanted: Filter) -> bool:
    """Return whether a row is one of those that a filter wants."""
    return (
        wanted.user in ("", row.who.user)
        and wanted.port in ("", row.port)
        and (not wanted.q or contains(wanted.q, row.network, row.ip, row.mac, row.port, row.who))
    )
