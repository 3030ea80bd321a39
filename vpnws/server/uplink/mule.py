"""The mule: the process that owns the server's TAPs and joins them to the switch."""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vpnws.errors import VpnwsError
from vpnws.server.uplink.hooks import HOOK_S, run_hook
from vpnws.server.uplink.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.server.start import Server

log = logging.getLogger("vpnws")


class Mule:
    """What uWSGI runs in its mule (`mule = vpnws_app:mule`)."""

    def __init__(self, server: Server) -> None:
        """Prepare in the master; nothing is opened before the fork."""
        self._server = server
        self._loop = server.loop
        self._devices = server.devices

    def __call__(self) -> None:
        """Serve the uplinks until a signal ends the mule; without uplinks, just wait for one."""
        wait_for_signal = self._loop.catch_signals()
        settings = self._server.settings
        uplinks: list[Uplink] = []
        node = None
        if settings.tap:
            node = self._server.mule_node()
            uplinks = [Uplink(node, self._devices, *pair) for pair in settings.tap]
        ended_by = wait_for_signal()
        if node is not None:
            node.leave()
        for uplink in uplinks:
            uplink.close()
        # The master sends SIGINT at the stop; SIGHUP and SIGTERM are reloads, which keep the TAPs.
        if ended_by == signal.SIGINT:
            self._take_down()
        self._server.uwsgi.end_process()

    def _take_down(self) -> None:
        """Run vpnws-exec-down for each TAP, and remove the TAPs that we made."""
        commands = self._server.settings.exec_down
        until_s = self._loop.now() + HOOK_S
        for network, device in self._server.settings.tap:
            with _logged():
                if commands:
                    run_hook(
                        "vpnws-exec-down",
                        commands,
                        network=network,
                        device=device,
                        mac=self._devices.read_mac(device),
                        timeout_s=max(1.0, until_s - self._loop.now()),
                    )
            with _logged():
                self._devices.release(device)


@contextmanager
def _logged() -> Iterator[None]:
    """Log what vpnws raises in the block, and go on after it."""
    try:
        yield
    except VpnwsError as error:
        log.error("%s", error)
