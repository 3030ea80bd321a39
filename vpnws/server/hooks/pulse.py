"""The pulse of the process for hooks: it shows that it lives, and how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.asks import (
    EventsAsk,
    LiveAsk,
    LiveRows,
    MetricsAsk,
    ProcessMetrics,
    ProcessStatus,
    StatusAsk,
)
from vpnws.control.paging import Rows
from vpnws.control.views import ProcessView, TrunkView
from vpnws.server.inspect.events import EventViews
from vpnws.server.log import lines_dropped, tell_dropped
from vpnws.server.node import TICK_S
from vpnws.server.tally import LoopLag

if TYPE_CHECKING:
    from vpnws.control.asks import Peers
    from vpnws.server.journal import Journal
    from vpnws.server.start import Server


class Pulse:
    """The heartbeat and the view of a process that has no switch."""

    def __init__(self, server: Server, peers: Peers, journal: Journal) -> None:
        """Begin to beat, and to answer `peers` who ask how this process is."""
        loop = server.loop
        self._server = server
        self._journal = journal
        self._slot = server.hooks_slot
        self._events = EventViews(journal, server.uwsgi.process_id())
        self._since_s = loop.unix_s()
        self._lag = LoopLag(TICK_S, loop.now())
        self._ticker = loop.every(TICK_S, self._tick)
        peers.serve(StatusAsk, self._status)
        peers.serve(MetricsAsk, self._metrics)
        peers.serve(EventsAsk, self._events.list)
        peers.serve(LiveAsk, self._live)

    def stop(self) -> None:
        """Be watched no more."""
        self._ticker.close()
        self._server.page.join(self._slot, 0)

    def _tick(self) -> None:
        self._lag.tick(self._server.loop.now())
        self._server.page.beat(self._slot)
        tell_dropped()

    def _status(self, _ask: StatusAsk) -> ProcessStatus:
        return ProcessStatus(process=self._view(), networks=(), macs=0)

    def _metrics(self, _ask: MetricsAsk) -> ProcessMetrics:
        return ProcessMetrics(
            process=self._view(), networks=(), ports=(), port_count=0, trunks=TrunkView()
        )

    def _live(self, ask: LiveAsk) -> LiveRows:
        status, events = self._status(StatusAsk()), self._events.list(ask.events)
        return LiveRows(status=status, networks=Rows(), ports=Rows(), events=events)

    def _view(self) -> ProcessView:
        server, journal = self._server, self._journal
        starts, kills = server.page.lives(self._slot)
        return ProcessView(
            name=journal.process,
            pid=server.uwsgi.process_id(),
            since_s=self._since_s,
            loop_lag_s=self._lag.worst_s(server.loop.now()),
            beats=server.page.pulses()[self._slot][1],
            restarts=max(0, starts - 1),
            kills=kills,
            log_lines_dropped=lines_dropped(),
            events={event.value: count for event, count in journal.counts.items()},
            events_lost=journal.lost,
        )
