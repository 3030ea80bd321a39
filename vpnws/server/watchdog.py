"""The watchdog: a process without stations that kills one that hangs, and minds the socket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.server.hang import LOOK_EVERY_S, HangJudge, Sight
from vpnws.server.journal import Journal
from vpnws.server.log import log_as

if TYPE_CHECKING:
    from vpnws.server.processes import Processes
    from vpnws.server.socket_file import SocketFile
    from vpnws.server.start import Server

log = logging.getLogger("vpnws")


class Watchdog:
    """What uWSGI runs in its second mule (`mule = vpnws_app:watchdog`).

    It touches no lock, so that it cannot hang with the others. A killed process's stations are told
    by the kernel, which closes their connections; the kernel also gives back the process's locks,
    and the master starts another one.
    """

    def __init__(self, server: Server, processes: Processes, socket_file: SocketFile) -> None:
        """Prepare in the master; `processes` are what the master will have started."""
        self._server = server
        self._processes = processes
        self._socket_file = socket_file
        self._judge: HangJudge | None = None
        self._journal = Journal("watchdog", server.loop.unix_s)
        self._killed = 0
        self._trouble = ""

    def __call__(self) -> None:
        """Watch until a signal ends this process."""
        server = self._server
        log_as("watchdog", server.settings.log)
        loop = server.loop
        wait_for_signal = loop.catch_signals()
        if server.settings.hang_after_s:
            if self._processes.are_hidden():
                log.warning(
                    "/proc hides other processes (hidepid): one that hangs will not be noticed;"
                    " give vpnws its own user from the start, as deploy/vpnws.service does"
                )
            self._judge = HangJudge(server.settings.hang_after_s, loop.now())
        watcher = loop.every(LOOK_EVERY_S, self._look)
        wait_for_signal()
        watcher.close()
        server.uwsgi.end_process()

    def _look(self) -> None:
        if self._judge is not None:
            self._look_for_one_that_hangs(self._judge)
        trouble = self._socket_file.trouble()
        if trouble and trouble != self._trouble:
            log.error("%s", trouble)
        elif self._trouble and not trouble:
            log.info("the socket %s is in its place again", self._socket_file.path)
        self._trouble = trouble

    def _look_for_one_that_hangs(self, judge: HangJudge) -> None:
        sights = self._sights()
        slot = judge.find(sights, self._server.loop.now())
        if slot is not None:
            self._kill(slot, sights[slot])

    def _sights(self) -> dict[int, Sight]:
        sights = {}
        for slot, (pid, beats) in enumerate(self._server.page.pulses()):
            status = self._processes.status(pid) if pid else None
            if status is not None:
                sights[slot] = Sight(pid, beats, status.state, status.cpu_ticks)
        return sights

    def _kill(self, slot: int, sight: Sight) -> None:
        self._killed += 1
        name, seconds = self._server.name_of(slot), self._server.settings.hang_after_s
        self._journal.note(
            Event.PROCESS_HUNG,
            f"{name} has not answered for {seconds} s (process {sight.pid}, state {sight.state}):"
            " it is killed and started anew, and its stations come back; killed so far:"
            f" {self._killed}. To look at one that hangs, set vpnws-hang-after=0",
            peer=name,
            pid=sight.pid,
            seconds=seconds,
            state=sight.state,
            count=self._killed,
        )
        self._server.page.note_kill(slot)
        try:
            self._processes.kill(sight.pid)
        except OSError as error:
            log.error("process %d cannot be killed: %s", sight.pid, error)
