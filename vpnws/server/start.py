"""Makes what all processes of one server share, in the master, before it forks."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from vpnws import __version__
from vpnws.config_reader import read_settings
from vpnws.control.events import Event
from vpnws.errors import ConfigError
from vpnws.server import ini
from vpnws.server.dhcp import serve_dhcp
from vpnws.server.hang import MIN_HANG_AFTER_S
from vpnws.server.hooks.checkup import examine_host, line_of
from vpnws.server.hooks.teller import tell_hooks, wanted_events
from vpnws.server.inspect.desk import open_desk
from vpnws.server.inspect.pins import write_pins
from vpnws.server.inspect.policies import Policies
from vpnws.server.journal import Journal
from vpnws.server.lease_setup import prepare, set_up_leases
from vpnws.server.leasing import StationLeases
from vpnws.server.log import STDERR, log_as, never_wait
from vpnws.server.master import warn_of_threads
from vpnws.server.naming import process_name
from vpnws.server.node import Node
from vpnws.server.peers import kept_claims
from vpnws.server.peers.bus import MAX_SLOTS, Bus
from vpnws.server.peers.inquiries import Inquiries
from vpnws.server.peers.mailboxes import Mailboxes
from vpnws.server.peers.shared_fdb import SharedFdb
from vpnws.server.peers.shared_page import SharedPage
from vpnws.server.peers.shared_rules import SharedRules
from vpnws.server.preflight import (
    check_caches,
    check_engine,
    check_listeners,
    check_options,
)
from vpnws.server.recycling import warnings
from vpnws.server.uplink.devices import own_macs
from vpnws.switch.guard.claims import OWN

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from vpnws.config import Settings
    from vpnws.server.hooks.checkup import Doctor
    from vpnws.server.loop import Loop
    from vpnws.server.peers.kept_claims import KeptClaims
    from vpnws.server.uplink.devices import TapDevices
    from vpnws.server.uwsgi import Uwsgi

LOST: Final = "named stations' claims and the operator's rules are lost at this reload"

log = logging.getLogger("vpnws")


class Server:
    """What the master has made. Every process has a copy of it, and makes its node from that."""

    def __init__(
        self,
        loop: Loop,
        uwsgi: Uwsgi,
        devices: TapDevices,
        settings: Settings,
        environment: Mapping[str, str],
        kept: KeptClaims | None = None,
    ) -> None:
        """Make what the workers share, and the mule too if there is an uplink.

        `environment` is the process's; `kept` is what a reload has carried over. Raises ConfigError
        if there are more processes than the bus can join, or if they would be killed too early.
        """
        workers = uwsgi.workers()
        if not workers:
            raise ConfigError("workers = 0 leaves nobody to serve stations: set 2 or more")
        slots = workers + bool(settings.tap)
        if slots > MAX_SLOTS:
            raise ConfigError(
                f"{slots} processes are more than the bus takes: {MAX_SLOTS}; set fewer workers"
            )
        if 0 < settings.hang_after_s < MIN_HANG_AFTER_S:
            raise ConfigError(
                f"vpnws-hang-after = {settings.hang_after_s} is too short: processes"
                f" beat once a second; set {MIN_HANG_AFTER_S} or more, or 0 for never"
            )
        wanted_events(settings)
        self.loop = loop
        self.uwsgi = uwsgi
        self.devices = devices
        self.settings = settings
        self.environment = environment
        self.since_s = loop.unix_s()
        """When the server started, in Unix time."""
        self._workers = workers
        self.hooks_slot = slots
        """The place of the process for hooks, which has no switch and is not on the bus."""
        self.page = SharedPage(slots, kept.secret if kept is not None else None, apart=1)
        self._bus = Bus(slots)
        self._mailboxes = Mailboxes(slots + 1)
        self.leases = set_up_leases(loop, settings, devices, environment)
        """What stations lease of; None if there is no pool."""
        self.peers: Inquiries | None = None
        """Set in a process that has begun to serve."""
        self.policies: Policies | None = None
        """The same."""

    def reserve(self, kept: KeptClaims | None) -> None:
        """Reserve MACs for the server itself and for named stations, before any station joins."""
        fdb = SharedFdb(self.loop, self.uwsgi, self.page, 0, items=self.settings.fdb_items)
        for network, device in self.settings.tap:
            for mac in own_macs(self.devices, device):
                fdb.reserve(network, mac, OWN)
        for network, mac in self.settings.pinned_macs:
            fdb.reserve(network, mac, OWN)
        if kept is not None:
            fdb.reserve_claims(kept.claims)
            rules = self._rules(0)
            rules.restore(kept.rules)
            write_pins(fdb, rules)

    def keep_claims(self, node: Node) -> None:
        """Write down for the next server named stations' claims and the operator's rules."""
        rules = self._rules(node.slot).pack()
        try:
            kept_claims.write(self.environment, self.page.secret, node.claims(), rules)
        except OSError as error:
            log.warning("%s: %s", LOST, error)

    def worker_node(self, worker: int) -> Node:
        """Begin to serve as worker number `worker` (from 1); call it after the fork."""
        log_as(self.name_of(worker - 1), self.settings.log)
        if worker == 1:
            warn_of_threads(self.loop, self.uwsgi)
        # A worker that was ended as if for a reload, and is replaced, has left it.
        kept_claims.remove(self.environment)
        return self._node(worker - 1)

    def mule_node(self) -> Node:
        """Begin to serve as the mule that owns the uplinks; call it after the fork."""
        log_as(self.name_of(self._workers), self.settings.log)
        return self._node(self._workers)

    def join_for_hooks(self) -> Inquiries:
        """Begin to serve as the process for hooks; call it after the fork."""
        slot = self.hooks_slot
        log_as(self.name_of(slot), self.settings.log)
        self.page.join(slot, self.uwsgi.process_id())
        self.peers = Inquiries(self.loop, self.page, self._mailboxes, slot, self.name_of)
        return self.peers

    def name_of(self, slot: int) -> str:
        """Return what the log calls the process at `slot`."""
        return "hooks" if slot == self.hooks_slot else process_name(slot, self._workers)

    def _node(self, slot: int) -> Node:
        journal = Journal(self.name_of(slot), self.loop.unix_s)
        node = Node(self.loop, self.uwsgi, self.settings, self.page, self._bus, slot, journal)
        if self.leases is not None and slot < self._workers:
            opened = self.leases.open_for(self.loop)
            node.leasing = StationLeases(self.loop, opened, slot, node.links, journal)
            serve_dhcp(node, self.leases.identifiers)
        self.peers = Inquiries(self.loop, self.page, self._mailboxes, slot, self.name_of)
        rules = self._rules(slot)
        self.policies = Policies(node, rules)
        open_desk(self.peers, node, self.policies, rules, self.name_of(slot))
        tell_hooks(self.settings, self.peers, journal, self.hooks_slot)
        self._tell_kills(journal, slot)
        return node

    def _tell_kills(self, journal: Journal, slot: int) -> None:
        """Keep as an event what the watchdog, which is not on the bus, has logged."""
        kills, name = self.page.take_kills(slot), self.name_of(slot)
        if kills:
            text = f"{name} hung and was killed by the watchdog; this is the one after it"
            journal.keep(Event.PROCESS_HUNG, text, peer=name, count=kills)

    def _rules(self, slot: int) -> SharedRules:
        return SharedRules(self.loop, self.uwsgi, self.page, slot)


def start(
    loop: Loop,
    uwsgi: Uwsgi,
    devices: TapDevices,
    environment: MutableMapping[str, str],
    examine: Doctor = examine_host,
) -> Server:
    """Make the server from uWSGI's placeholders, and from what uwsgi.ini put into `environment`.

    If a setting is wrong, log one sentence and stop uWSGI's start. If this is only a check, log
    what `examine` finds on the host, and end the process in either case.
    """
    never_wait(STDERR)
    options = uwsgi.options()
    log_as("start", ini.log_form(environment, options))
    # Whatever comes of this start, the file is not left behind.
    kept = _take_claims(environment)
    try:
        settings = read_settings(options)
        check_engine(uwsgi.engine(), uwsgi.cores(), options)
        check_options(options, settings, environment)
        if not ini.only_checks(environment):
            check_listeners(uwsgi.listeners())
        check_caches(uwsgi)
        server = Server(loop, uwsgi, devices, settings, environment, kept)
    except ConfigError as error:
        log.critical("cannot start: %s", error)
        if ini.only_checks(environment):
            uwsgi.end_process(1)
        if uwsgi.worker_id() or uwsgi.mule_id():
            # With lazy-apps this runs in a child, which the master would start again for ever.
            uwsgi.stop_all()
        sys.exit(1)
    for warning in warnings(options):
        log.warning("%s", warning)
    if ini.only_checks(environment):
        for finding in examine(settings, uwsgi):
            log.warning("%s", line_of(finding))
        log.info("%s", ini.CHECKED)
        # At its own end uWSGI would remove what belongs to the server that runs.
        uwsgi.end_process()
    server.reserve(kept)
    if server.leases is not None:
        prepare(server.leases)
    kept_claims.prepare(environment)
    ini.note_start(environment)
    log.info(
        "vpnws %s is ready: mode %s, receiver %s, %d workers, socket %s, http %s, TAPs %s",
        __version__,
        settings.mode,
        settings.receiver,
        uwsgi.workers(),
        settings.socket or "none",
        settings.http or "none",
        " ".join(":".join(pair) for pair in settings.tap) or "none",
    )
    return server


def _take_claims(environment: Mapping[str, str]) -> KeptClaims | None:
    """Return what the server before a reload has left."""
    if not ini.is_reload(environment) or ini.only_checks(environment):
        return None
    try:
        return kept_claims.take(environment)
    except (OSError, ValueError) as error:
        log.warning("%s: %s", LOST, error)
        return None
