"""The process for hooks, which uWSGI runs in its third mule."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vpnws.control.asks import DoctorAsk
from vpnws.server.hooks.checkup import Checkup, examine_host
from vpnws.server.hooks.pulse import Pulse
from vpnws.server.journal import Journal

if TYPE_CHECKING:
    from vpnws.server.hooks.checkup import Doctor
    from vpnws.server.start import Server


class HooksMule:
    """What uWSGI runs in its third mule (`mule = vpnws_app:hooks`).

    It has no switch, and nobody waits for it. So it may do what takes long.
    """

    def __init__(self, server: Server, examine: Doctor = examine_host) -> None:
        """Prepare in the master."""
        self._server = server
        self._examine = examine

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
        wait_for_signal()
        pulse.stop()
        checkup.close()
        peers.close()
        server.uwsgi.end_process()
