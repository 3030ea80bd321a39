"""Notices that the machine slept: its connection may be gone, and its network another one.

While a machine sleeps, the boot clock goes on and the monotonic clock stands still. So only a sleep
moves them apart; neither a step of the wall clock nor a program that was stopped does.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.errors import NetworkChangedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.aside import Aside
    from vpnws.tap.contract import DeviceEvents

SLEEP_S: Final = 2.0
"""A sleep that was shorter than this is none: what a server or a NAT forgets takes longer."""
LOOK_EVERY_S: Final = 10.0
"""How often the clocks are compared where the kernel cannot tell of a resume."""

log = logging.getLogger(__name__)


class SleepWatch:
    """How far the two clocks are apart, as of the last look."""

    def __init__(
        self, steps: DeviceEvents | None, aside: Aside, slept_s: Callable[[], float]
    ) -> None:
        """`slept_s` returns by how much the boot clock is ahead of the monotonic clock.

        `steps` tell that the machine may have woken up; without them the clocks are compared again
        and again.
        """
        self._steps = steps
        self._aside = aside
        self._slept_s = slept_s
        self._then_s = slept_s()

    def start(self, now: float) -> None:
        """Begin to watch at `now`, in monotonic seconds."""
        if self._steps is None:
            self._aside.alarm(now + LOOK_EVERY_S, self._look_again)
        else:
            self._aside.watch(self._steps.fd, self._look)

    def close(self) -> None:
        """Watch no more."""
        if self._steps is not None:
            self._aside.unwatch(self._steps.fd)

    def _look_again(self, now: float) -> None:
        self._aside.alarm(now + LOOK_EVERY_S, self._look_again)
        self._look()

    def _look(self) -> None:
        """Compare the clocks. Raises NetworkChangedError after a sleep."""
        if self._steps is not None:
            self._steps.drain()
        before_s, self._then_s = self._then_s, self._slept_s()
        asleep_s = self._then_s - before_s
        if asleep_s >= SLEEP_S:
            raise NetworkChangedError(f"this machine slept for {asleep_s:.0f} s")
