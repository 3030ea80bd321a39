"""A DHCP client of this system at work for a station: asks it anew, and hears what it reports."""

from __future__ import annotations

import logging
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vpnws.client.dhcp.keeper import ASK, LEAVE, fork_keeper
from vpnws.client.dhcp.report import END, MAX_REPORT_BYTES, read_report
from vpnws.dhcp.client import Change
from vpnws.errors import TapError

if TYPE_CHECKING:
    from vpnws.client.dhcp.follower import Changed
    from vpnws.client.dhcp.programs import Program
    from vpnws.client.dhcp.report import Report
    from vpnws.client.waiting import Waiter
    from vpnws.dhcp.grant import Grant

LEAVE_S: Final = 2.5
"""The station waits so long for the DHCP client to give its lease up, then ends without that."""
log = logging.getLogger(__name__)


class SystemClient:
    """A DHCP client of this system for the life of a station, over any number of connections.

    It is started anew at each connection: so it asks at once, and may be in another network. The
    address of before is used until it reports.
    """

    def __init__(
        self,
        program: Program,
        device: str,
        waiter: Waiter,
        changed: Changed,
    ) -> None:
        """`changed` is told what has become of the address, and what is granted now.

        Raises TapError. Call it while this process has one thread, and its privileges.
        """
        try:
            self._socket, self._reports, self._pid = fork_keeper(program, device)
        except OSError as error:
            raise TapError(f"cannot start {program.name}: {error.strerror}") from error
        self._program = program
        self._waiter = waiter
        self._changed = changed
        self._grant: Grant | None = None
        self._has_begun = False
        """Whether the program that runs has reported an address."""
        self._unread = b""
        waiter.aside.watch(self._reports, self._serve)

    def connected(self, mac: bytes) -> None:
        """Have the program ask for an address, as the device's MAC is now."""
        del mac
        self._has_begun = False
        try:
            self._socket.send(ASK)
        except OSError:
            log.warning(
                "%s does not run any more: the address that it got is not renewed; start the client"
                " again, or leave --dhcp-client out",
                self._program.name,
            )

    def leaving(self) -> list[bytes]:
        """Have the program give the address up; what it sends, the device has then."""
        with suppress(OSError):
            self._socket.send(LEAVE)
            poller = select.poll()
            poller.register(self._socket, select.POLLIN)
            poller.poll(1000 * LEAVE_S)
        return []

    def close(self) -> None:
        """End the program."""
        self._waiter.aside.unwatch(self._reports)
        os.close(self._reports)
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _serve(self) -> None:
        """Read reports; the keeper's end hangs up when it is gone."""
        try:
            data = os.read(self._reports, MAX_REPORT_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._waiter.aside.unwatch(self._reports)
            return
        *reports, rest = (self._unread + data).split(END)
        self._unread = rest[-MAX_REPORT_BYTES:]
        for report in reports:
            self._take(read_report(report))

    def _take(self, report: Report) -> None:
        grant, before = report.grant, self._grant
        if grant is not None:
            is_new = before is None or before.interface != grant.interface
            self._has_begun, self._grant = True, grant
            self._changed(Change.BOUND if is_new else Change.KEPT, grant)
        elif report.change is not None and before is not None and self._has_begun:
            # Whatever it says when it begins: the address of before may well be kept.
            self._grant = None
            self._changed(report.change, None)
