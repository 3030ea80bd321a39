"""One process's part of the server: its switch with all ports, and the links behind them."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.errors import CapacityError
from vpnws.server.log import tell_dropped
from vpnws.server.memory import give_back
from vpnws.server.naming import NUMBER_BITS, PortNames, short_name
from vpnws.server.peers.bus import TrunkLink
from vpnws.server.peers.shared_fdb import SharedFdb
from vpnws.server.port.departed import DepartedPorts
from vpnws.server.port.link import Link
from vpnws.server.reports import Reports
from vpnws.server.station_log import StationLog
from vpnws.server.tally import Tally
from vpnws.switch.format import TRUNK_ITEMS, for_station
from vpnws.switch.forwarding import Switch
from vpnws.switch.guard.bucket import TokenBucket
from vpnws.switch.guard.claims import OWN
from vpnws.switch.guard.destinations import AllowedDestinations
from vpnws.switch.guard.roles import PROMISCUOUS
from vpnws.switch.guard.storm import StormControl
from vpnws.switch.port import NO_OUTLET, AccessPort, Trunk
from vpnws.switch.queue.queue import EgressQueue
from vpnws.wire import websocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from vpnws.config import Settings
    from vpnws.server.journal import Journal
    from vpnws.server.leasing import StationLeases
    from vpnws.server.loop import Loop
    from vpnws.server.peers.bus import Bus
    from vpnws.server.peers.kept_claims import Claim
    from vpnws.server.peers.shared_page import SharedPage
    from vpnws.server.port.session import Session
    from vpnws.server.uwsgi import Uwsgi
    from vpnws.switch.format import Format
    from vpnws.switch.port import Outlet

TICK_S: Final = 1.0
"""A process checks on its links this often."""
AGE_EVERY_TICKS: Final = 5
GIVE_BACK_EVERY_TICKS: Final = 30
"""Memory that queues needed is given back to the kernel this often."""
LOOK_UPS_PER_S: Final = 1000
"""For a station's frames to MACs that its worker does not know, the shared FDB is asked at most
this often; further frames are flooded, within the storm limit."""
MAX_LINGERING_LINKS: Final = 256
"""Links that have ended and wait for their station's answer; a further one is closed at once."""
BRIDGE_REFUSED: Final = (
    "asked to bridge, and the web server does not grant it (VPNWS_BRIDGE on): frames of other"
    " stations behind it are dropped"
)
UNHEARD: Final = "it announced no MAC, so nothing is flooded to it before its first frame"


class Node:
    """The switch of one process, with everything that is attached to it."""

    def __init__(
        self,
        loop: Loop,
        uwsgi: Uwsgi,
        settings: Settings,
        page: SharedPage,
        bus: Bus,
        slot: int,
        journal: Journal,
    ) -> None:
        """Begin to serve as the process at `slot`; call it in that process, after the fork."""
        self.loop = loop
        self.settings = settings
        self.slot = slot
        self.since_s = loop.now()
        self.journal = journal
        self.links: dict[int, Link] = {}
        self._page = page
        # Before it takes any lock: from here on the watchdog sees whether this process hangs.
        self.process_id = uwsgi.process_id()
        page.join(slot, self.process_id)
        self.shared = SharedFdb(loop, uwsgi, page, slot, items=settings.fdb_items)
        self.switch = Switch(
            slot,
            self.shared,
            age_s=settings.age_s,
            fdb_limit=settings.fdb_items,
            networks_limit=settings.max_networks,
            no_broadcast=settings.no_broadcast,
            no_multicast=settings.no_multicast,
            on_waiting=self._flood_later,
        )
        self.names = PortNames(slot, uwsgi.workers(), self.switch)
        self.reports = Reports(self.switch, short_name, journal)
        self.stations = StationLog(journal, loop, self.names, self.links)
        self.switch.networks.on_learn = self.stations.learned
        self.tally = Tally(page, slot, TICK_S, loop.now())
        self.leasing: StationLeases | None = None
        """Set if there is a pool of addresses."""
        self.uplinks: dict[AccessPort, float] = {}
        """The ports of the TAPs, each with when it came."""
        self.departed = DepartedPorts()
        self._lingering: list[Link] = []
        # No id repeats at a slot: the shared FDB may still name ports of the previous process.
        self._ids = itertools.count((self.process_id << NUMBER_BITS) + 1)
        self._ticks = 0
        self._stopping = False
        bus.keep_only(slot)
        for other, end in bus.ends(slot).items():
            self._add_trunk(other, end)
        page.set_ports(slot, 0)
        self._say_up(uwsgi.process_id(), self.shared.purge_own())
        self._ticker = loop.every(TICK_S, self._tick)

    def unix_s(self, at_s: float) -> float:
        """Return the time of day at `at_s` on the loop's clock, in seconds since 1970."""
        return self.loop.unix_s() - (self.loop.now() - at_s)

    def tap_of(self, network: str) -> str:
        """Return the device of the TAP in `network`; empty if there is none."""
        return dict(self.settings.tap).get(network, "")

    def check_room(self, session: Session) -> None:
        """Raise CapacityError if there is no room for the station of `session`."""
        if self._stopping:
            raise CapacityError("the switch is stopping")
        if self._page.ports() >= self.settings.max_ports:
            raise CapacityError(f"there are {self.settings.max_ports} stations already")
        self.switch.networks.check_room(session.network)

    def attach(self, connection: socket.socket, session: Session) -> Link:
        """Make a port for a connection whose handshake is done; the node then owns the connection.

        Raises CapacityError if another station took the last place during the handshake.
        """
        self.check_room(session)
        settings, rights = self.settings, session.rights
        own = frozenset((session.announced_mac,) if session.announced_mac else ())
        port = AccessPort(
            next(self._ids),
            for_station(session.subprotocol),
            EgressQueue(settings.egress_limit_bytes),
            settings.max_frame_bytes,
            origin=self.switch.networks.make_origin(session.network, rights.role),
            storm=StormControl(settings.storm_limit, self.loop.now()),
            station_limit=settings.bridge_limit if rights.may_bridge else settings.station_limit,
            claim=session.identity.claim(),
            own=own if rights.may_bridge else None,
            destinations=AllowedDestinations(rights.allow) if rights.allow is not None else None,
            hears_floods=session.hears_floods,
        )
        port.look_ups = TokenBucket(LOOK_UPS_PER_S, self.loop.now())
        link = Link(self.loop, connection, session, port, self._detach)
        self.links[port.id] = port.outlet = link
        self.switch.attach(port)
        self._page.set_ports(self.slot, len(self.links))
        self.tally.join(session.identity, self.loop.now())
        is_told = self.stations.came(link, "" if port.hears_floods else UNHEARD)
        if session.announced_mac is not None:
            self.switch.announce(port, session.announced_mac, self.loop.now())
        if session.wants_bridge and not rights.may_bridge:
            if is_told:
                self.stations.bridge_refused(link, BRIDGE_REFUSED)
            link.notify(f"this station {BRIDGE_REFUSED}", self.loop.now())
        return link

    def attach_uplink(self, network: str, outlet: Outlet, format_: Format) -> AccessPort:
        """Make a port for a TAP of the server; `outlet` writes what is queued for it."""
        settings = self.settings
        port = AccessPort(
            next(self._ids),
            format_,
            EgressQueue(settings.trunk_limit_bytes),
            settings.max_frame_bytes,
            origin=self.switch.networks.make_origin(network, PROMISCUOUS),
            station_limit=settings.uplink_limit,
            claim=OWN,
            own=frozenset(),
        )
        port.outlet = outlet
        self.switch.attach(port)
        self.uplinks[port] = self.loop.now()
        return port

    def own(self, port: AccessPort, macs: Iterable[bytes]) -> None:
        """Have `macs`, and those that the admin has pinned, belong to the TAP at `port`."""
        network = port.origin.network
        pinned = (mac for name, mac in self.settings.pinned_macs if name == network)
        self.switch.own(port, frozenset((*macs, *pinned)), self.loop.now())

    def detach_uplink(self, port: AccessPort) -> None:
        """Take the port of a TAP off the switch."""
        self.departed.note_tap(port, self.switch.stations_of(port), self.loop.now())
        self.switch.detach(port)
        del self.uplinks[port]
        self.reports.forget(port)

    def stop(self) -> None:
        """End every link because the server restarts or stops, and accept no more stations."""
        self._stopping = True
        if self.leasing is not None:
            self.leasing.leave_all()
        for link in list(self.links.values()):
            link.end(websocket.SERVICE_RESTART, "the server restarts or stops")
            link.close()

    def leave(self) -> None:
        """End to be watched by the watchdog, before this process does what takes long."""
        self._page.join(self.slot, 0)

    def claims(self) -> Iterable[Claim]:
        """Return what a reload should carry over of named stations' claims."""
        return self.shared.claims()

    def _flood_later(self) -> None:
        """Go on with floods once all who are ready have had their turn."""
        self._flooder = self.loop.after(0.0, self._flood_waiting)

    def _flood_waiting(self) -> None:
        if self.switch.flood_waiting(self.loop.now()):
            self._flood_later()

    def _add_trunk(self, other: int, end: socket.socket) -> None:
        settings = self.settings
        egress = EgressQueue(settings.trunk_limit_bytes)
        trunk = Trunk(other, TRUNK_ITEMS, egress, settings.max_frame_bytes)
        self.switch.trunks[other] = trunk
        trunk.outlet = TrunkLink(self.loop, trunk, end, self.switch)

    def _detach(self, link: Link) -> bool:
        """Take a link that ended off the switch; return whether it may linger."""
        port = link.port
        self.links.pop(port.id, None)
        self.stations.went(link)
        self.departed.note_station(link, self.switch.stations_of(port), self.loop.now())
        self.switch.detach(port, release=link.left_for_good)
        if self.leasing is not None:
            self.leasing.left(link)
        # Link and port would else keep each other until the next full garbage collection.
        port.outlet = NO_OUTLET
        self.reports.forget(port)
        self._page.set_ports(self.slot, len(self.links))
        self.tally.leave(link.session.identity, self.loop.now())
        if len(self._lingering) >= MAX_LINGERING_LINKS:
            self._close_lingered(self.loop.now())
        if len(self._lingering) >= MAX_LINGERING_LINKS:
            return False
        self._lingering.append(link)
        return True

    def _say_up(self, pid: int, purged: int) -> None:
        """Say that this process serves, and how many MACs of the one before it has forgotten."""
        forgot = f"; forgot {purged} stations of the process before" if purged else ""
        text = f"serves as process {pid}{forgot}"
        self.journal.note(Event.PROCESS_UP, text, pid=pid, count=purged)

    def _close_lingered(self, now: float) -> None:
        """Close and forget the links that have lingered for long enough."""
        self._lingering = [link for link in self._lingering if not link.lingered(now)]

    def _tick(self) -> None:
        now = self.loop.now()
        settings = self.settings
        self._page.beat(self.slot)
        self._ticks += 1
        # After a late tick, what stations sent in the meantime may still be unread: judge nobody.
        was_late = self.tally.lag.tick(now) > TICK_S
        for link in [] if was_late else list(self.links.values()):
            link.watch_over(now, settings.ping_every_s, settings.dead_after_s)
        self._report_drops(now)
        self.stations.look()
        tell_dropped()
        self._close_lingered(now)
        self.shared.sweep()
        if self._ticks % GIVE_BACK_EVERY_TICKS == 0:
            give_back()
        if self._ticks % AGE_EVERY_TICKS == 0:
            self.switch.age(now)

    def _report_drops(self, now: float) -> None:
        """Report what is being dropped, in the log and to the stations concerned."""
        look = self.reports.look
        for link in list(self.links.values()):
            may_tell = partial(self.stations.may_tell, link, Event.DROPS)
            for notice in look(link.port, partial(self.names.station, link), now, may_tell):
                link.notify(notice, now)
        for port in self.uplinks:
            look(port, partial(self.names.uplink, port), now)
        for slot, trunk in self.switch.trunks.items():
            look(trunk, partial(self.names.trunk, slot), now)
