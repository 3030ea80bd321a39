"""Tells systemd that the station is connected, how it is, and that it lives (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Final, Self

from vpnws.client.life import Follower
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from vpnws.client.aside import Aside
    from vpnws.client.life import Link
    from vpnws.client.settings import ServerUrl
    from vpnws.errors import ConnectError

MAX_STATUS_CHARACTERS: Final = 400
"""A longer status is cut off here; `systemctl status` shows it on one line."""
WATCHDOG_SHARE: Final = 0.5
"""The watchdog hears from us after this share of its time, as sd_watchdog_enabled(3) advises."""

log = logging.getLogger(__name__)


class Manager:
    """The service manager that started this process: takes messages, and never answers."""

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        """`address` is a socket's path, or a name in Linux's abstract namespace behind an @.

        `watchdog_s` is after how long a silence the manager kills the process, None for never.
        """
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._has_failed = False
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Return the manager that `environment` names, None if there is none.

        The names go, so no program that this one starts takes them for its own.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        period_us = environment.pop("WATCHDOG_USEC", "")
        watched = environment.pop("WATCHDOG_PID", str(os.getpid()))
        # Virtual machines may be given a vsock address, which is for their process 1.
        if not address.startswith(("/", "@")):
            return None
        is_watched = period_us.isdigit() and int(period_us) > 0 and watched == str(os.getpid())
        return cls(address, int(period_us) / 1e6 if is_watched else None)

    def tell(self, *assignments: str) -> None:
        """Send assignments such as READY=1. What cannot be sent is lost, and told once."""
        try:
            self._socket.sendto("\n".join(assignments).encode(errors="replace"), self._address)
        except OSError as error:
            # A full socket: the newest status matters, and it will come.
            if not self._has_failed and not isinstance(error, BlockingIOError):
                self._has_failed = True
                log.warning("systemd does not take our status: %s", error.strerror or error)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class SystemdFollower(Follower):
    """Tells the manager how a station's life goes."""

    def __init__(self, manager: Manager, aside: Aside, now: Callable[[], float]) -> None:
        """Take over `manager`; the watchdog hears from us through `aside`, so from the loop itself.

        A loop that hangs serves no alarm, and is killed.
        """
        self._manager = manager
        self._aside = aside
        if manager.watchdog_s is not None:
            self._be_alive(now())

    def dialing(self, server: ServerUrl) -> None:
        """Say where the station connects to."""
        self._manager.tell(_status(f"connecting to {server.shown}"))

    def connected(self, link: Link) -> None:
        """Say that the service is ready; further connections are only a new status."""
        offload = "on" if link.has_offload else "off"
        text = f"connected to {link.url.shown} as {link.tap_name} {format_mac(link.mac)}"
        self._manager.tell("READY=1", _status(f"{text}, offload {offload}"))

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Say what went wrong, and when the next attempt is."""
        self._manager.tell(_status(f"trying again in {delay_s:.1f} s: {error}"))

    def ended(self, reason: str) -> None:
        """Say that the service stops, and why."""
        self._manager.tell("STOPPING=1", _status(reason))
        self._manager.close()

    def _be_alive(self, now: float) -> None:
        self._manager.tell("WATCHDOG=1")
        period_s = (self._manager.watchdog_s or 0.0) * WATCHDOG_SHARE
        self._aside.alarm(now + period_s, self._be_alive)


def _status(text: str) -> str:
    """Return the assignment: on one line, since each line is an assignment of its own."""
    return f"STATUS={one_line(text, max_characters=MAX_STATUS_CHARACTERS)}"
