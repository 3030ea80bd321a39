"""Answers what has happened in one process, from its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.event_pages import EventRows

if TYPE_CHECKING:
    from vpnws.control.asks import EventsAsk
    from vpnws.control.event_pages import EventFilter
    from vpnws.control.views import EventView
    from vpnws.server.journal import Journal


class EventViews:
    """The events of one process, as control sees them."""

    def __init__(self, journal: Journal, pid: int) -> None:
        """`pid` tells this process from another that had its name before."""
        self._journal = journal
        self._pid = pid

    def list(self, ask: EventsAsk) -> EventRows:
        """Return one page of the events that fit a filter, the oldest first."""
        wanted, journal = ask.filter, self._journal
        pid, seq = ask.marks.get(journal.process, (0, 0))
        after = seq if pid == self._pid else 0
        kept = journal.after(after)
        found = [event for event in kept if fits(event, wanted)]
        items = found[-wanted.limit :] if wanted.last else found[: wanted.limit]
        is_cut = len(found) > wanted.limit and not wanted.last
        return EventRows(
            pid=self._pid,
            items=tuple(items),
            looked_seq=items[-1].seq if is_cut else journal.seq,
            lost=journal.seq - min(after, journal.seq) - len(kept),
        )


def fits(event: EventView, wanted: EventFilter) -> bool:
    """Return whether an event is one of those that a filter wants."""
    fields = event.fields
    return (
        wanted.event in ("", event.name)
        and wanted.network in ("", fields.get("network"))
        and wanted.user in ("", fields.get("user"))
        and wanted.port in ("", fields.get("port"))
        and wanted.ip in ("", fields.get("ip"))
        and wanted.mac.lower() in ("", fields.get("mac"))
        and wanted.q.lower() in event.text.lower()
    )
