"""The servers of a station, which are tried in turn until one takes it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.client.connect.dial import Dialer
from vpnws.client.connect.way import Ways
from vpnws.errors import ConnectError, NetworkChangedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from vpnws.client.carry.connection import Connection
    from vpnws.client.settings import ClientSettings, ServerUrl
    from vpnws.client.waiting import Waiter

log = logging.getLogger(__name__)

MAX_SERVERS: Final = 8
"""More URLs are refused: one attempt tries all of them, and each may take its time."""


class Reached(NamedTuple):
    """A connection that was made, and the server that it leads to."""

    url: ServerUrl
    connection: Connection


class Servers:
    """Connects to the first server that takes the station, in the order of the URLs."""

    def __init__(
        self,
        settings: ClientSettings,
        context: ssl.SSLContext | None,
        waiter: Waiter,
        is_final: Callable[[ConnectError], bool],
        dialing: Callable[[ServerUrl], None],
    ) -> None:
        """`context` is for wss; `is_final` tells whether a retry would not help.

        `dialing` is called with a server before it is tried.
        """
        self._dialing = dialing
        self._ways = Ways(settings.addresses, (settings.url, *settings.others), waiter)
        self._is_final = is_final
        self._dialers = [
            (alone.url, Dialer(alone, context, waiter, self._ways))
            for alone in settings.for_each_server
        ]

    @property
    def known_addresses(self) -> tuple[str, ...]:
        """Every IP address that a connection may go to, as far as names were looked up yet.

        A proxy's is there in place of its server's.
        """
        return self._ways.known_addresses

    def connect(self, mac: bytes) -> Reached:
        """Return a WebSocket with the first server that takes the station.

        `mac` is what the station announces. Raises what the only server's dialer does; of several
        ones an error that is final only if all of them are.
        """
        failures: list[tuple[ServerUrl, ConnectError]] = []
        for url, dialer in self._dialers:
            self._dialing(url)
            try:
                connection = dialer.connect(mac)
            except NetworkChangedError:
                raise
            except ConnectError as error:
                failures.append((url, error))
                continue
            if failures:
                log.warning("%s", _told(failures))
            return Reached(url, connection)
        raise self._together(failures)

    def _together(self, failures: list[tuple[ServerUrl, ConnectError]]) -> ConnectError:
        """Return the error of one server that stands for all of them."""
        errors = [error for _, error in failures]
        chosen = next((error for error in errors if not self._is_final(error)), errors[0])
        if len(errors) > 1:
            chosen.args = (_told(failures),)
        return chosen


def _told(failures: list[tuple[ServerUrl, ConnectError]]) -> str:
    return "; ".join(f"{url.shown}: {error}" for url, error in failures)
