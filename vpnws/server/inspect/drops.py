"""Makes views of what one process's ports drop: each reason at each port, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vpnws.control.asks import AskError
from vpnws.control.paging import Filter, Rows, contains, decode_cursor, is_after, take_rows
from vpnws.control.ports import drop_key
from vpnws.control.views import DropView, Who
from vpnws.server.inspect.ports import who_of
from vpnws.server.naming import number_of, short_name, trunk_name
from vpnws.server.reports import kind_of
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.asks import DropsAsk
    from vpnws.server.node import Node
    from vpnws.switch.port import Port


class _Dropping(NamedTuple):
    """A port that has dropped something."""

    port: Port
    id: str
    who: Who = Who()


class DropViews:
    """The drops of one process, as control sees them."""

    def __init__(self, node: Node, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._process = process

    def list(self, ask: DropsAsk) -> Rows[DropView]:
        """Return one page of the drops that fit a filter. Raises AskError."""
        wanted = ask.filter
        try:
            start = decode_cursor(wanted.after)
            rows = (
                view
                for found in self._dropping()
                if self._fits(found, wanted)
                for view in self._views(found)
                if (view.recent_frames or not ask.is_recent)
                and is_after(drop_key(view), start)
                and contains(wanted.q, *_shown(view))
            )
            return take_rows(rows, wanted.limit)
        except ValueError as error:
            raise AskError(str(error), 400) from error

    def _dropping(self) -> Iterator[_Dropping]:
        """Go through the ports that have dropped something, in the order of their ids."""
        node = self._node
        for slot, trunk in sorted(node.switch.trunks.items()):
            if trunk.drops:
                yield _Dropping(trunk, trunk_name(node.slot, slot))
        for port in sorted(
            node.switch.networks.access_ports(), key=lambda each: number_of(each.id)
        ):
            if port.drops:
                link = node.links.get(port.id)
                who = who_of(link.session.identity) if link is not None else Who()
                yield _Dropping(port, short_name(node.slot, port.id), who)

    def _fits(self, found: _Dropping, wanted: Filter) -> bool:
        port, mac = found.port, wanted.mac.lower()
        if not isinstance(port, AccessPort):
            return wanted.port in ("", found.id) and not (wanted.network or wanted.user or mac)
        return (
            wanted.port in ("", found.id)
            and wanted.network in ("", port.origin.network)
            and wanted.user in ("", found.who.user)
            and (not mac or mac in map(format_mac, self._node.switch.stations_of(port)))
        )

    def _views(self, found: _Dropping) -> Iterator[DropView]:
        port, reports, now = found.port, self._node.reports, self._node.loop.now()
        recent = reports.recent(port, now)
        for reason, frames in sorted(port.drops.items()):
            says = reports.explain(port, reason, now)
            yield DropView(
                network=port.origin.network if isinstance(port, AccessPort) else "",
                port=found.id,
                process=self._process,
                kind=kind_of(port),
                who=found.who,
                reason=reason.value,
                frames=frames,
                recent_frames=recent[reason],
                why=says.why,
                remedy=says.remedy,
            )


def _shown(view: DropView) -> tuple[str | Who, ...]:
    """Return the texts of a drop that people look for."""
    return view.port, view.network, view.reason, view.who, view.why
