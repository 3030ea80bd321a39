"""Writes the leases that the workers have changed back to the disk, which takes long at times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.errors import LeaseError

if TYPE_CHECKING:
    from vpnws.server.loop import Loop
    from vpnws.server.peers.leases import LeaseFile
    from vpnws.server.start import Server

CHECKPOINT_EVERY_S: Final = 30.0
"""The log of changes to the leases is written back this often. If the power fails, what came later
may be lost: a station then gets its own place in the pool again, if it is free."""

log = logging.getLogger("vpnws")


class LeaseKeeper:
    """The process for hooks at the table of leases: it has no frames that would wait."""

    def __init__(self, loop: Loop, table: LeaseFile) -> None:
        """Begin to write back."""
        self._table = table
        self._ticker = loop.every(CHECKPOINT_EVERY_S, self._write_back)

    def close(self) -> None:
        """Write back what there is, and end."""
        self._ticker.close()
        self._write_back()
        self._table.close()

    def _write_back(self) -> None:
        try:
            self._table.see_that_it_is_there()
            self._table.checkpoint()
        except LeaseError as error:
            # The workers meet it too, and say it once.
            log.debug("leases are not written back: %s", error)


class NothingToKeep:
    """A server without a pool."""

    def close(self) -> None:
        """Do nothing."""


def keep_leases(server: Server) -> LeaseKeeper | NothingToKeep:
    """Return what writes back in this process; call it after the fork."""
    if server.leases is None:
        return NothingToKeep()
    return LeaseKeeper(server.loop, server.leases.open_for(server.loop).table)
