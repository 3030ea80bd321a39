"""The process for hooks, which uWSGI runs in its third mule."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vpnws.control.hook_asks import DoctorAsk
from vpnws.errors import ConfigError
from vpnws.server import shell
from vpnws.server.hooks.background import Threads
from vpnws.server.hooks.checkup import Checkup, examine_host
from vpnws.server.hooks.dispatch import Dispatch
from vpnws.server.hooks.failures import Failures
from vpnws.server.hooks.lease_keeper import keep_leases
from vpnws.server.hooks.pulse import Pulse
from vpnws.server.hooks.webhook import HOOK, Webhook, make_poster
from vpnws.server.journal import Journal

if TYPE_CHECKING:
    from vpnws.control.asks import Peers
    from vpnws.server.hooks.background import Background
    from vpnws.server.hooks.checkup import Doctor
    from vpnws.server.hooks.commands import Run
    from vpnws.server.hooks.webhook import Poster
    from vpnws.server.start import Server


class HooksMule:
    """What uWSGI runs in its third mule (`mule = vpnws_app:hooks`).

    It has no switch, and nobody waits for it. So it may do what takes long.
    """

    def __init__(
        self,
        server: Server,
        examine: Doctor = examine_host,
        *,
        run: Run = shell.run,
        background: Background | None = None,
        poster: Poster | None = None,
    ) -> None:
        """Prepare in the master; a test passes in what it wants to see done."""
        self._server = server
        self._examine = examine
        self._run = run
        self._background = background
        self._poster = poster

    def __call__(self) -> None:
        """Serve until a signal ends this process."""
        server = self._server
        loop = server.loop
        wait_for_signal = loop.catch_signals()
        peers = server.join_for_hooks()
        journal = Journal(server.name_of(server.hooks_slot), loop.unix_s)
        pulse = Pulse(server, peers, journal)
        checkup = Checkup(loop, journal, partial(self._examine, server.settings, server.uwsgi))
        peers.serve(DoctorAsk, checkup.findings)
        failures = Failures(loop, journal)
        leases = keep_leases(server)
        hooks = self._hooks(peers, failures)
        wait_for_signal()
        pulse.stop()
        checkup.close()
        hooks.finish()
        failures.close()
        leases.close()
        peers.close()
        server.uwsgi.end_process()

    def _hooks(self, peers: Peers, failures: Failures) -> Dispatch:
        server = self._server
        settings, loop = server.settings, server.loop
        background = self._background or Threads(loop)
        webhook = None
        if settings.webhook:
            try:
                poster = self._poster or make_poster(settings)
                webhook = Webhook(loop, background, failures, poster, settings.webhook_events)
            except ConfigError as error:
                failures.note(HOOK, f"no event is posted: {error}")
        return Dispatch(loop, settings, peers, failures, background, webhook, self._run)
