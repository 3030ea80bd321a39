"""What fails in hooks is noted at once, and then once a minute with its count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.server.journal import Journal
    from vpnws.server.loop import Loop

FOLD_S: Final = 60.0
"""After a failure of a hook is noted, further ones of it are only counted for this long."""
LOOK_EVERY_S: Final = 1.0
"""It is looked this often whether a count is due."""


@dataclass(slots=True)
class _Burst:
    since_s: float
    count: int = 0
    reason: str = ""


class Failures:
    """The failures of all hooks, by the hooks' names, which are few and ours."""

    def __init__(self, loop: Loop, journal: Journal) -> None:
        """Note them in `journal`."""
        self._loop = loop
        self._journal = journal
        self._bursts: dict[str, _Burst] = {}
        self._ticker = loop.every(LOOK_EVERY_S, self._look)

    def note(self, hook: str, reason: str, count: int = 1) -> None:
        """Note that `hook`, the name of a setting, failed `count` times, last for `reason`."""
        burst = self._bursts.get(hook)
        if burst is None:
            self._bursts[hook] = _Burst(self._loop.now())
            self._tell(hook, reason, count)
        else:
            burst.count += count
            burst.reason = reason

    def close(self) -> None:
        """Tell the counts so far, and look no more."""
        self._ticker.close()
        for hook, burst in self._bursts.items():
            if burst.count:
                self._tell(hook, burst.reason, burst.count)

    def _look(self) -> None:
        now = self._loop.now()
        for hook, burst in list(self._bursts.items()):
            if now - burst.since_s >= FOLD_S:
                del self._bursts[hook]
                if burst.count:
                    self.note(hook, burst.reason, burst.count)

    def _tell(self, hook: str, reason: str, count: int) -> None:
        reason = one_line(reason)
        text = f"{hook} failed {count} times: {reason}" if count > 1 else f"{hook}: {reason}"
        self._journal.note(Event.HOOK_FAILED, text, hook=hook, reason=reason, count=count)
