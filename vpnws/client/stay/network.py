"""Watches this machine's network: says when a connection is stale, or a new attempt may succeed.

Theory of operation. The kernel tells by rtnetlink that a device, an address or a route has changed.
One change of network is many of these: so they are left to gather for SETTLE_S, and what they say
is not read. Then the kernel is asked which way it would take to the server now. Only an answer that
differs from the one before counts. So neither the own TAP nor another program's routes disturb a
connection, and a flood of changes costs a few questions a second.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vpnws.client.stay.surroundings import (
    Surroundings,
    cable_is_back,
    connection_is_stale,
    look_around,
    may_connect_now,
)
from vpnws.errors import NetworkChangedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.aside import Aside
    from vpnws.client.stay.surroundings import Look
    from vpnws.tap.contract import DeviceEvents

SETTLE_S: Final = 0.3
"""Changes are left to gather for this long: an address comes before its routes."""
APART_S: Final = 1.0
"""A network that changes without end has the station connect anew once in this time."""

log = logging.getLogger(__name__)


class NetworkWatch:
    """The network, as of the last look."""

    def __init__(
        self,
        events: DeviceEvents,
        aside: Aside,
        clock: Callable[[], float],
        tap_name: Callable[[], str],
        look: Look = look_around,
    ) -> None:
        """`tap_name` returns the name of the station's own device; `clock` monotonic seconds."""
        self._events = events
        self._aside = aside
        self._clock = clock
        self._tap_name = tap_name
        self._look = look
        self._server = ""
        self._source = b""
        self._is_connected = False
        self._then = Surroundings(None)
        self._earliest_s = 0.0
        if events.fd >= 0:
            self._then = self._now()
            aside.watch(events.fd, self._gather)

    def connected(self, server: str) -> None:
        """Note that there is a connection to the IP address `server`."""
        self._server, self._source, self._is_connected = server, b"", True
        if self._events.fd < 0:
            return
        self._then = self._now()
        if self._then.way is not None:
            self._source = self._then.way.source

    def lost(self) -> None:
        """Note that there is no connection."""
        self._source, self._is_connected = b"", False

    def close(self) -> None:
        """Watch no more."""
        if self._events.fd >= 0:
            self._aside.unwatch(self._events.fd)

    def _gather(self) -> None:
        """Wait until the change is complete; what comes meanwhile stays unread."""
        self._aside.unwatch(self._events.fd)
        self._aside.alarm(max(self._clock() + SETTLE_S, self._earliest_s), self._judge)

    def _judge(self, now_s: float) -> None:
        """Look what has become of the network. Raises NetworkChangedError."""
        self._events.drain()
        self._aside.watch(self._events.fd, self._gather)
        now = self._now()
        if self._is_connected:
            self._judge_connection(now, now_s)
            return
        then, self._then = self._then, now
        if may_connect_now(then, now):
            self._change("the network has changed", now_s)

    def _judge_connection(self, now: Surroundings, now_s: float) -> None:
        then = self._then
        if why := connection_is_stale(then, now):
            self._then = now
            self._change(why, now_s)
        # All else stays as it was when the connection was made: a way that is gone may come back.
        self._then = replace(then, has_cable=now.has_cable)
        if cable_is_back(then, now):
            # What was sent meanwhile may make TCP wait for long: a ping will tell.
            log.info("the cable is back: asking the server whether the connection is alive")
            self._aside.has_doubt = True

    def _change(self, why: str, now_s: float) -> None:
        self._earliest_s = now_s + APART_S
        raise NetworkChangedError(why)

    def _now(self) -> Surroundings:
        return self._look(self._server, self._source, self._tap_name())
