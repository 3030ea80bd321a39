"""The mule: the process that owns the server's TAPs and joins them to the switch."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

from vpnws.errors import VpnwsError
from vpnws.host import loop
from vpnws.host.hooks import run_hook
from vpnws.host.tap import read_mac, release
from vpnws.host.uplink import Uplink

if TYPE_CHECKING:
    from vpnws.host.server import Server

log = logging.getLogger("vpnws")


class Mule:
    """What uWSGI runs in its mule (`mule = vpnws_app:mule`)."""

    def __init__(self, server: Server) -> None:
        """Prepare in the master; nothing is opened before the fork."""
        self._server = server

    def __call__(self) -> None:
        """Serve the uplinks until told to stop; without any, only wait for that."""
        settings = self._server.settings
        uplinks: list[Uplink] = []
        if settings.tap:
            node = self._server.mule_node()
            uplinks = [Uplink(node, *pair) for pair in settings.tap]
        ended_by = loop.wait_for_signal()
        for uplink in uplinks:
            uplink.close()
        if ended_by != signal.SIGHUP:
            self._take_down()

    def _take_down(self) -> None:
        """Run vpnws-exec-down for each TAP and remove the ones that the start made."""
        commands = self._server.settings.exec_down
        for network, device in self._server.settings.tap:
            try:
                if commands:
                    mac = read_mac(device)
                    run_hook("vpnws-exec-down", commands, network=network, device=device, mac=mac)
                release(device)
            except VpnwsError as error:
                log.error("%s", error)
