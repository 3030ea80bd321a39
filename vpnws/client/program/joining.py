"""Joins a network: from the command line to the exit code, with one line per event."""

from __future__ import annotations

import logging
import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from vpnws.client.carry.counters import Counters
from vpnws.client.life import telling_the_end
from vpnws.client.program.commands import PROGRAM
from vpnws.client.program.config_file import parse
from vpnws.client.program.exits import Exit, exit_code
from vpnws.client.program.followers import make_followers
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.client.program.station import Station
from vpnws.client.service.logs import start_log
from vpnws.client.system import interface
from vpnws.client.system.privileges import give_up, user_to_become
from vpnws.client.waiting import Stopped, StopRequest, Waiter
from vpnws.errors import VpnwsError
from vpnws.https import tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from vpnws.client.settings import ClientSettings

log = logging.getLogger(__name__)


def join(arguments: Sequence[str]) -> int:
    """Join a network as the `arguments` say; return the exit code (vpnws.client.program.exits).

    For --help, --version and wrong options argparse ends the program itself.
    """
    start_log(PROGRAM)
    try:
        options, origin = parse(make_parser, arguments)
        start_log(PROGRAM, form=options.log_format, quiet=options.quiet)
        with origin.named():
            settings = read(options)
        with StopRequest() as stop:
            return _run(settings, stop)
    except KeyboardInterrupt:
        # It was asking for a password.
        return Exit.STOPPED
    except VpnwsError as error:
        log.error("%s", error, extra={"event": "failed"})
        return exit_code(error)


def _run(settings: ClientSettings, stop: StopRequest) -> int:
    """Run until told to stop. Raises VpnwsError."""
    context = _tls_context(settings)
    try:
        with closing(Waiter(stop, time.monotonic)) as waiter:
            _run_device(settings, context, waiter)
    except Stopped:
        return Exit.STOPPED


def _tls_context(settings: ClientSettings) -> ssl.SSLContext | None:
    """Return the context for wss, None for ws; warn of what is not safe."""
    servers = settings.for_each_server
    if any(each.has_secret and not each.url.secure for each in servers):
        log.warning("the password travels unencrypted over ws://: use wss:// outside of tests")
    if not any(each.url.secure for each in servers):
        return None
    if not settings.tls.verify:
        log.warning("--no-verify: anyone can pose as the server and read everything")
    return tls.make_context(settings.tls)


def _run_device(
    settings: ClientSettings, context: ssl.SSLContext | None, waiter: Waiter
) -> NoReturn:
    """Keep the device open for as long as the station lives. Raises Stopped, VpnwsError."""
    user = user_to_become(settings.run_as)
    with closing(interface.open_device(settings)) as device:
        # One that was there before may have the MAC that somebody gave it.
        interface.set_up(device.tap, settings, is_new=device.is_new)
        if settings.persist:
            device.keep()
            name = device.tap.name
            log.info("%s stays when the client ends: ip link delete %s removes it", name, name)
        counters = Counters()
        follower = make_followers(settings, device.tap, waiter, counters)
        # Jitter must differ between stations; it need not be secret.
        given = (device.tap, device.events, waiter, random.random, follower, counters)
        station = Station(settings, context, *given)
        with telling_the_end(follower):
            give_up(user)
            _run_station(station, waiter)


def _run_station(station: Station, waiter: Waiter) -> NoReturn:
    try:
        station.run()
    except Stopped:
        counts = station.counters.summary()
        log.info("stopped by %s: %s", waiter.stop.reason, counts, extra={"event": "stopped"})
        raise
