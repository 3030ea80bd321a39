"""Keeps a TAP connected: connects, carries frames, says why that ended, waits, connects again."""

from __future__ import annotations

import dataclasses
import gc
import ipaddress
import logging
from typing import TYPE_CHECKING, Final, NoReturn

from vpnws.client.carry.counters import Counters
from vpnws.client.carry.device import drop_stale
from vpnws.client.carry.pump import Pump
from vpnws.client.carry.watch import DeviceWatch
from vpnws.client.connect.servers import Reached, Servers
from vpnws.client.life import Follower, Link
from vpnws.client.program.backoff import Backoff
from vpnws.client.program.exits import ends_first_attempt
from vpnws.errors import ConnectError, NetworkChangedError
from vpnws.tap.addresses import forwards_ipv6
from vpnws.wire.announce import announcements
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from vpnws.client.carry.connection import Connection
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import DeviceEvents, Tap

_NOT_OFFERED: Final = "this kernel completes the frames of %s itself: offload is not offered"

log = logging.getLogger(__name__)


class Station:
    """The life of one TAP, over any number of connections."""

    def __init__(
        self,
        settings: ClientSettings,
        context: ssl.SSLContext | None,
        tap: Tap,
        events: DeviceEvents,
        waiter: Waiter,
        random: Callable[[], float],
        follower: Follower | None = None,
        counters: Counters | None = None,
    ) -> None:
        """`context` is for wss, None for ws; `random` returns floats from 0 to 1.

        `events` tell when `tap` may have changed. `follower` is told how it goes, and
        `counters` counts the frames. Raises TapError if the device is gone.
        """
        self.counters = counters or Counters()
        self._settings = _supported(settings, tap)
        self._tap = tap
        self._watch = DeviceWatch(tap, events)
        self._waiter = waiter
        self._backoff = Backoff(random)
        self._was_connected = False
        self._follower = follower or Follower()
        self._servers = Servers(
            self._settings, context, waiter, ends_first_attempt, self._follower.dialing
        )

    def run(self) -> NoReturn:
        """Stay connected.

        Raises Stopped when told to stop, TapError when the device fails, ConnectError when no
        retry is wanted (`once`) or would help (refused at the very first attempt).
        """
        while True:
            try:
                self._run_connection()
            except ConnectError as error:
                if self._is_final(error):
                    raise
                self._pause(error)

    def _pause(self, error: ConnectError) -> None:
        """Say what went wrong, and wait for the next attempt; a change of the network ends that."""
        while True:
            delay_s = self._backoff.next_delay_s(self._waiter.now(), error)
            when = f"in {delay_s:.1f} s" if delay_s else "at once"
            log.warning("%s; trying again %s", error, when, extra={"event": "lost"})
            self._follower.lost(error, delay_s)
            changed = self._rest(delay_s)
            if changed is None:
                return
            error = changed

    def _rest(self, delay_s: float) -> NetworkChangedError | None:
        """Wait; return the change of the network that ended the wait, None if none did.

        No change ends a wait that the server has asked for.
        """
        until_s = self._waiter.now() + delay_s
        while True:
            try:
                self._waiter.sleep(delay_s)
            except NetworkChangedError as changed:
                if not self._backoff.is_told:
                    return changed
                delay_s = max(0.0, until_s - self._waiter.now())
            else:
                return None

    def _run_connection(self) -> NoReturn:
        """Connect, and carry frames until the connection ends."""
        reached = self._connect()
        connection = reached.connection
        # The garbage collector need not visit what lives until the program ends.
        gc.freeze()
        try:
            # From here on the TAP queues frames in the form that this connection carries.
            self._tap.set_offload(connection.has_offload)
            drop_stale(self._tap, self.counters)
            self._follower.connected(self._link(reached))
            self._pump(connection).run()
        finally:
            connection.close()

    def _connect(self) -> Reached:
        self._watch.look()
        mac = self._watch.state.mac
        reached = self._servers.connect(mac)
        self._was_connected = True
        self._backoff.connected(self._waiter.now())
        log.info(
            "connected to %s as %s %s, offload %s%s",
            reached.url.shown,
            self._tap.name,
            format_mac(mac),
            "on" if reached.connection.has_offload else "off",
            f", through {reached.url.proxy.named}" if reached.url.proxy else "",
            extra={"event": "connected"},
        )
        return reached

    def _link(self, reached: Reached) -> Link:
        return Link(
            url=reached.url,
            server_address=reached.connection.peer_address,
            known_addresses=self._servers.known_addresses,
            tap_name=self._tap.name,
            mac=self._watch.state.mac,
            has_offload=reached.connection.has_offload,
            fd=reached.connection.fd,
            round_trip=reached.connection.round_trip,
        )

    def _pump(self, connection: Connection) -> Pump:
        tap, state = self._tap, self._watch.state
        # In another network namespace it has no addresses, or other ones.
        addresses = self._settings.addresses if state.is_here else ()
        packed = [ipaddress.ip_interface(text).packed for text in addresses]
        # Others may remember the MAC of before, and the switch another port.
        announced = announcements(state.mac, packed, is_router=forwards_ipv6(state.name))
        told, leaving = self._follower.told, self._follower.leaving
        parts = tap, connection, self._waiter, self.counters, self._watch
        return Pump(*parts, announced, told, leaving)

    def _is_final(self, error: ConnectError) -> bool:
        if self._settings.once:
            return True
        return not self._was_connected and ends_first_attempt(error)


def _supported(settings: ClientSettings, tap: Tap) -> ClientSettings:
    """Return `settings`, without offload if the kernel cannot leave the work to us."""
    if not settings.offload or tap.set_offload(on=True):
        return settings
    if tap.has_vnet:
        log.warning(_NOT_OFFERED, tap.name)
    return dataclasses.replace(settings, offload=False)
