"""Looks up hosts in a thread, so that a signal does not have to wait for the resolver."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from typing import TYPE_CHECKING, Final

from vpnws.client.connect.race import interleave
from vpnws.errors import ConnectError, NetworkChangedError

if TYPE_CHECKING:
    from vpnws.client.connect.race import Address
    from vpnws.client.waiting import Waiter

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S: Final = 20.0
"""If the resolver needs longer, the attempt has failed."""
KNOWN_TIMEOUT_S: Final = 2.0
"""If it needs longer for a host whose addresses are known already, these are tried."""
MAX_LOOKUPS: Final = 8
"""So many may be under way, most of them given up; then none is begun until one has ended."""
MAX_ADDRESSES: Final = 8
"""How many addresses of one host one attempt tries; further ones are left out."""


class Resolver:
    """Looks up hosts, and keeps their last addresses for when no name server answers.

    A default route through the VPN may lead to the name servers too: without the VPN none would
    answer, and without the server's address there would be no VPN.
    """

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        # As many as a station has servers and proxies.
        self._known: dict[tuple[str, int], list[Address]] = {}
        self._is_told: set[str] = set()
        self._under_way: list[_Lookup] = []

    @property
    def known(self) -> tuple[str, ...]:
        """Every IP address that a host looked up so far has, or had when it could be looked up."""
        found = (str(place[0]) for addresses in self._known.values() for _, place in addresses)
        return tuple(dict.fromkeys(found))

    def addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses of `host`, families in turn, at most MAX_ADDRESSES.

        Raises ConnectError if none is known, Stopped when told to stop.
        """
        is_known = (host, port) in self._known
        try:
            found = self._look_up(host, port, KNOWN_TIMEOUT_S if is_known else LOOKUP_TIMEOUT_S)
        except NetworkChangedError:
            raise
        except ConnectError as error:
            return self._remember(host, port, error)
        self._is_told.discard(host)
        self._known[host, port] = found
        return found

    def _look_up(self, host: str, port: int, timeout_s: float) -> list[Address]:
        """Return what the resolver says within `timeout_s`. Raises ConnectError, Stopped."""
        self._under_way = [lookup for lookup in self._under_way if lookup.is_alive()]
        if len(self._under_way) >= MAX_LOOKUPS:
            raise _unanswered(host)
        lookup = _Lookup(host, port)
        self._under_way.append(lookup)
        try:
            self._waiter.wait(lookup.done_fd, select.POLLIN, self._waiter.now() + timeout_s)
        except TimeoutError as error:
            raise _unanswered(host) from error
        finally:
            os.close(lookup.done_fd)
        if lookup.failure:
            raise ConnectError(
                f"cannot look up {host}: {lookup.failure}; check the name, and this machine's name"
                f" servers (getent hosts {host})"
            )
        return lookup.found

    def _remember(self, host: str, port: int, error: ConnectError) -> list[Address]:
        known = self._known.get((host, port))
        if not known:
            raise error
        if host not in self._is_told:
            self._is_told.add(host)
            log.warning("%s; until then it is sought at the addresses that it had before", error)
        return known


class _Lookup(threading.Thread):
    """One getaddrinfo call in a thread of its own: a signal cannot interrupt the C library."""

    def __init__(self, host: str, port: int) -> None:
        # The program can end while a daemon thread still runs.
        super().__init__(daemon=True)
        self._host = host
        self._port = port
        self.found: list[Address] = []
        self.failure = ""
        self.done_fd, self._write_fd = os.pipe()
        self.start()

    def run(self) -> None:
        """Look up, and say so by closing the pipe."""
        try:
            self.found = _lookup(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.failure = getattr(error, "strerror", None) or str(error)
        finally:
            os.close(self._write_fd)


def _unanswered(host: str) -> ConnectError:
    return ConnectError(f"cannot look up {host}: the name servers do not answer")


def _lookup(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]
    # Else many addresses of one family would leave no room for the other.
    return interleave(addresses)[:MAX_ADDRESSES]
