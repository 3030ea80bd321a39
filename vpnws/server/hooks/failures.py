"""What fails in hooks is noted at once, and then once a minute with its count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.server.once import Once
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.server.journal import Journal
    from vpnws.server.loop import Loop

FOLD_S: Final = 60.0
"""After a failure of a hook is noted, further ones of it are only counted for this long."""
LOOK_EVERY_S: Final = 1.0
"""It is looked this often whether a count is due."""


class Failures:
    """The failures of all hooks, by the hooks' names, which are few and ours."""

    def __init__(self, loop: Loop, journal: Journal) -> None:
        """Note them in `journal`."""
        self._journal = journal
        self._once = Once(loop, self._tell, fold_s=FOLD_S, look_every_s=LOOK_EVERY_S)

    def note(self, hook: str, reason: str, count: int = 1) -> None:
        """Note that `hook`, the name of a setting, failed `count` times, last for `reason`."""
        self._once.note(reason, hook, count)

    def close(self) -> None:
        """Tell the counts so far, and look no more."""
        self._once.close()

    def _tell(self, hook: str, reason: str, count: int) -> None:
        reason = one_line(reason)
        text = f"{hook} failed {count} times: {reason}" if count > 1 else f"{hook}: {reason}"
        self._journal.note(Event.HOOK_FAILED, text, hook=hook, reason=reason, count=count)
