"""Makes those who tell the system of a client: the service manager, and who asks for status."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from vpnws.client.service.places import directory, socket_path
from vpnws.client.service.report import Report
from vpnws.client.service.status_socket import StatusSocket
from vpnws.client.service.systemd import Manager, SystemdFollower

if TYPE_CHECKING:
    from vpnws.client.carry.counters import Counters
    from vpnws.client.life import Follower
    from vpnws.client.waiting import Waiter
    from vpnws.tap.contract import Tap

log = logging.getLogger(__name__)


def start(tap: Tap, waiter: Waiter, counters: Counters) -> list[Follower]:
    """Return the followers; call it while the program has its privileges."""
    report = Report(counters, lambda: tap.name, waiter.now)
    followers: list[Follower] = [report, *_socket(report, tap, waiter)]
    manager = Manager.from_environment(os.environ)
    if manager is not None:
        followers.append(SystemdFollower(manager, waiter.aside, waiter.now))
    return followers


def _socket(report: Report, tap: Tap, waiter: Waiter) -> list[Follower]:
    place = directory(os.environ, os.geteuid())
    try:
        if place is None:
            raise FileNotFoundError("XDG_RUNTIME_DIR is not set")
        return [StatusSocket(socket_path(place, tap.name), report.view, waiter.aside)]
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        log.info("`vpnws-client status` will not show this client: %s", reason)
        return []
