"""Looks at the host from time to time, and says once what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from vpnws.control.events import Event
from vpnws.control.hook_asks import Findings
from vpnws.doctor.examine import examine
from vpnws.doctor.host import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.config import Settings
    from vpnws.control.hook_asks import DoctorAsk
    from vpnws.control.views import FindingView
    from vpnws.server.journal import Journal
    from vpnws.server.loop import Loop
    from vpnws.server.uwsgi import Uwsgi

    Doctor: TypeAlias = Callable[[Settings, Uwsgi], tuple[FindingView, ...]]

FIRST_LOOK_S: Final = 3.0
"""The host is first looked at this long after the start, when vpnws-exec has set up the TAPs."""
LOOK_EVERY_S: Final = 3600.0
"""The host is looked at this often after that."""
DEFAULT_BACKLOG: Final = 100
"""uWSGI's own, without the option listen."""
SILENT: Final = "info"
"""Findings of this severity are told to those who ask, and not logged."""


def examine_host(settings: Settings, uwsgi: Uwsgi) -> tuple[FindingView, ...]:
    """Look at this host, and return what is known to break such networks on it."""
    listen = uwsgi.options().get("listen", "")
    facts = look(
        settings,
        workers=uwsgi.workers(),
        backlog=int(listen) if listen.isdigit() else DEFAULT_BACKLOG,
        max_fds=uwsgi.max_fds(),
    )
    return examine(facts)


def line_of(finding: FindingView) -> str:
    """Return a finding as the log has it."""
    return f"host: {finding.sentence}; remedy: {finding.remedy}"


class Checkup:
    """What the doctor says of this host, as the log and the API tell it."""

    def __init__(
        self, loop: Loop, journal: Journal, examine: Callable[[], tuple[FindingView, ...]]
    ) -> None:
        """`examine` looks at the host now; it takes a moment."""
        self._journal = journal
        self._examine = examine
        self._said: set[tuple[str, str]] = set()
        self._watchers = [
            loop.after(FIRST_LOOK_S, self._look),
            loop.every(LOOK_EVERY_S, self._look),
        ]

    def findings(self, _ask: DoctorAsk) -> Findings:
        """Look at the host and return what is found."""
        return Findings(self._examine())

    def close(self) -> None:
        """Look no more."""
        for watcher in self._watchers:
            watcher.close()

    def _look(self) -> None:
        found = [each for each in self._examine() if each.severity != SILENT]
        for each in found:
            if _key(each) not in self._said:
                self._journal.note(
                    Event.DOCTOR,
                    line_of(each),
                    check=each.name,
                    reason=each.sentence,
                    remedy=each.remedy,
                )
        # What has been mended and comes back is said again.
        self._said = {_key(each) for each in found}


def _key(finding: FindingView) -> tuple[str, str]:
    # The sentence may count something that grows.
    return finding.name, finding.remedy
