"""Opens a TCP connection to the address of a host that answers first."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Final

from vpnws.client.carry.keepalive import DEAD_AFTER_S
from vpnws.client.connect.detour import detour
from vpnws.client.connect.race import Race
from vpnws.client.connect.reasons import reason_of
from vpnws.errors import ConnectError
from vpnws.poller import READ, WRITE, make_poller
from vpnws.sizes import MAX_UNSENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpnws.client.connect.race import Address
    from vpnws.client.waiting import Waiter

DEAD_AFTER_MS: Final = int(DEAD_AFTER_S * 1000)
"""A connection whose peer acknowledges nothing for this long is ended by the kernel."""
_TUNING: Final = (
    ("TCP_USER_TIMEOUT", DEAD_AFTER_MS),
    ("TCP_NOTSENT_LOWAT", MAX_UNSENT_BYTES),
)
"""Options of TCP that FreeBSD does not have, and macOS in part; our own keepalive works anyway."""


def connect_first(
    name: str, role: str, addresses: Sequence[Address], own: Sequence[str], waiter: Waiter
) -> socket.socket:
    """Return a socket connected to the first of `addresses` that takes the connection.

    They are tried in this order, one beside the other (vpnws.client.connect.race).
    `name` is the host's and `role` says what it is, for sentences; `own` are this station's
    addresses in the VPN, through which the host cannot be reached. Raises ConnectError with what
    every address said, Stopped.
    """
    failures: dict[str, list[str]] = {}
    race = Race(addresses)
    with closing(_Attempts()) as attempts:
        while not race.is_lost:
            for address, error in attempts.advance(race, waiter):
                if error is None:
                    return attempts.take(address)
                race.fail(address)
                family, place = address
                why = _detour_reason(detour(family, place, own), role) or reason_of(error)
                failures.setdefault(why, []).append(place[0])
    why = "; ".join(f"{reason} ({', '.join(hosts)})" for reason, hosts in failures.items())
    raise ConnectError(f"cannot connect to {name}: {why}")


class _Attempts:
    """The sockets that are connecting."""

    def __init__(self) -> None:
        # One descriptor stands for all of them, so that the waiter can wait for it.
        self._poller = make_poller()
        self._sockets: dict[Address, socket.socket] = {}
        self._addresses: dict[int, Address] = {}
        """Which address a descriptor connects to."""

    def advance(self, race: Race, waiter: Waiter) -> Iterator[tuple[Address, OSError | None]]:
        """Start what is due, wait, and yield each address that has connected or failed."""
        address = race.start(waiter.now())
        if address is not None:
            waiter.before_connect(str(address[1][0]))
            error = self._start(address)
            if error is not None:
                yield address, error
                return
        try:
            waiter.wait(self._poller.fileno(), READ, race.wake_s)
        except TimeoutError:
            yield from self._give_up(race.overdue(waiter.now()))
        for fd, _ in self._poller.poll(0):
            address = self._addresses[fd]
            yield address, self._finish(address)

    def take(self, address: Address) -> socket.socket:
        """Return the socket that has connected to `address`; `close` leaves it open."""
        sock = self._forget(address)
        _tune(sock)
        return sock

    def close(self) -> None:
        """Close all sockets but the one that was taken."""
        self._poller.close()
        for sock in self._sockets.values():
            sock.close()

    def _start(self, address: Address) -> OSError | None:
        """Begin to connect; return why that is impossible, None if it is under way."""
        family, place = address
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            return error
        sock.setblocking(False)
        code = sock.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return OSError(code, os.strerror(code))
        self._sockets[address] = sock
        self._addresses[sock.fileno()] = address
        self._poller.register(sock.fileno(), WRITE)
        return None

    def _finish(self, address: Address) -> OSError | None:
        """Return why the connection to `address` has failed, None if it stands."""
        code = self._sockets[address].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            return None
        self._drop(address)
        return OSError(code, os.strerror(code))

    def _give_up(self, addresses: list[Address]) -> Iterator[tuple[Address, OSError]]:
        for address in addresses:
            self._drop(address)
            yield address, OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    def _drop(self, address: Address) -> None:
        self._forget(address).close()

    def _forget(self, address: Address) -> socket.socket:
        """Wait for a socket no more; return it."""
        sock = self._sockets.pop(address)
        self._poller.unregister(sock.fileno())
        del self._addresses[sock.fileno()]
        return sock


def _tune(sock: socket.socket) -> None:
    """Send small messages at once, give up in time, keep little unsent; Linux can do all three."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _TUNING:
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _detour_reason(own: str, role: str) -> str:
    if not own:
        return ""
    return (
        f"--address {own} covers the {role}'s own address, so this machine looks for the {role}"
        " inside the VPN; give the VPN another network, or the address a longer prefix"
    )
