"""Notes in a process's journal what its stations do: who comes, goes, moves, and has how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.server.naming import short_name
from vpnws.server.port.describe import (
    describe,
    describe_drops,
    describe_end,
    describe_identity,
    describe_rights,
)
from vpnws.server.port.visits import Visits
from vpnws.text import log_pair
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.server.journal import Journal
    from vpnws.server.loop import Loop
    from vpnws.server.naming import PortNames
    from vpnws.server.port.link import Link
    from vpnws.server.port.session import Session
    from vpnws.switch.location import Location
    from vpnws.switch.port import AccessPort


class StationLog:
    """What is told of one process's stations; of a burst, only counts."""

    def __init__(
        self, journal: Journal, loop: Loop, names: PortNames, links: Mapping[int, Link]
    ) -> None:
        """`links` are the stations' by their ports' ids, as they come and go."""
        self._journal = journal
        self._loop = loop
        self._names = names
        self._links = links
        self._visits = Visits()

    def may_tell(self, link: Link, event: Event) -> bool:
        """Count an event of a station; return whether to tell it by itself."""
        who = describe_identity(link.session.identity)
        return self._visits.note(who, event, self._loop.now())

    def came(self, link: Link, remark: str) -> bool:
        """Note that a station has joined, with a `remark` unless it is empty; False if folded."""
        if not self.may_tell(link, Event.JOIN):
            return False
        session, who = link.session, self._names.who(link)
        self._journal.note(
            Event.JOIN,
            f"port {self._names.short(link.port)} up {describe(session)}{remark and '; '}{remark}",
            **who.fields,
            rights=describe_rights(session),
            subprotocol=session.subprotocol,
        )
        return True

    def went(self, link: Link) -> None:
        """Note that a station's link has ended; call it while its MACs are known."""
        if not self.may_tell(link, Event.LEAVE):
            return
        port, who = link.port, self._names.who(link)
        age_s = self._loop.now() - link.times.opened_s
        self._journal.note(
            Event.LEAVE,
            f"port {self._names.short(port)} {describe_end(port, link.reason, age_s)}; {who.words}",
            **who.fields,
            reason=link.reason,
            seconds=round(age_s, 3),
            rx_frames=port.rx_frames,
            rx_bytes=port.rx_bytes,
            tx_frames=port.tx_frames,
            tx_bytes=port.tx_bytes,
            dropped=port.drops.total(),
            drops=describe_drops(port),
        )

    def commanded(self, event: Event, link: Link, verb: str, by: str, **told: str) -> None:
        """Note what an operator has done to a station; `verb` and what is `told` say what."""
        station = self._names.station(link)
        text = " ".join(log_pair(name, value) for name, value in told.items())
        self._journal.note(
            event,
            f"{station.words} {verb} {text}{text and ' '}{log_pair('by', by)}",
            **station.fields,
            **told,
            by=by,
        )

    def lost(self, session: Session, text: str, reason: str) -> None:
        """Note that a station was let in and never had a port: `text` is the line, without why."""
        who = describe_identity(session.identity)
        if self._visits.note(who, Event.LOST, self._loop.now()):
            self._journal.note(
                Event.LOST,
                f"{text}: {reason}",
                network=session.network,
                **who.fields,
                reason=reason,
            )

    def bridge_refused(self, link: Link, why: str) -> None:
        """Note that a station may not bridge."""
        who = self._names.who(link)
        text = f"port {self._names.short(link.port)} {why}"
        self._journal.note(Event.BRIDGE_REFUSED, text, **who.fields)

    def learned(self, port: AccessPort, mac: bytes, before: Location | None) -> None:
        """Note that `mac` is new on `port`; it moved if it was somewhere `before`."""
        link = self._links.get(port.id)
        named = self._names.uplink(port) if link is None else self._names.station(link)
        fields = {**named.fields, "mac": format_mac(mac)}
        if before is None:
            self._journal.note(Event.LEARN, f"{named.words} learned {format_mac(mac)}", **fields)
        elif link is None or self.may_tell(link, Event.MOVE):
            was = short_name(before.slot, before.port_id)
            self._journal.note(
                Event.MOVE,
                f"{named.words} has the MAC {format_mac(mac)} now, which was at port {was}",
                **fields,
                from_port=was,
            )

    def look(self) -> None:
        """Note what was folded and is due; call it every second."""
        for note in self._visits.look(self._loop.now()):
            self._journal.note(note.event, note.text, **note.fields)
