"""Warns when uWSGI's master has threads, which can end the server in a reload."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.server.recycling import is_set

if TYPE_CHECKING:
    from vpnws.server.loop import Loop
    from vpnws.server.uwsgi import Uwsgi

STARTED_S: Final = 3.0
"""So long after the fork the master has started all of its threads."""

log = logging.getLogger("vpnws")


def warn_of_threads(loop: Loop, uwsgi: Uwsgi) -> None:
    """Look a moment from now whether the master has threads, and log it if it has.

    In a reload the master removes its semaphores (lock-engine = ipcsem) and executes itself. A
    thread that takes a lock between the two finds none, and uWSGI ends the process. The switch
    itself needs none of uWSGI's threads.
    """

    # The logger's thread takes none of these locks.
    needed = 1 + is_set(uwsgi.options(), "threaded-logger")

    def look() -> None:
        others = uwsgi.master_threads() - needed
        if others > 0:
            log.warning(
                "uWSGI's master has threads (%d), and one that takes a lock at the moment of a"
                " reload ends the server: remove the option that starts them (enable-metrics, a"
                " cache of your own without no_expire=1, legion), or restart instead of reloading",
                others,
            )

    loop.after(STARTED_S, look)
