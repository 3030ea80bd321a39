"""Storm control: how many flooded frames one port may cause."""

from __future__ import annotations

from typing import Final


class StormControl:
    """A token bucket over broadcast, unknown unicast and multicast (BUM) frames of one port."""

    __slots__ = ("_rate", "_tokens", "_updated_s")

    def __init__(self, rate: int, now: float) -> None:
        """`rate` is in frames per second; one second's worth may come at once; 0 is no limit."""
        self._rate = rate
        self._tokens = float(rate)
        self._updated_s = now

    def admit(self, packets: int, now: float) -> bool:
        """Take what stands for `packets` frames at `now` seconds; False when it is too much.

        Several that come as one may take more than there is left: those after them pay for it.
        """
        return self._take(packets, 1, now)

    def admit_all(self, packets: int, now: float) -> bool:
        """Take what stands for `packets` frames at `now` seconds, if there is that much left."""
        return self._take(packets, packets, now)

    def _take(self, packets: int, least: int, now: float) -> bool:
        """Take `packets` tokens if there are `least`."""
        rate = self._rate
        if not rate:
            return True
        tokens = min(rate, self._tokens + (now - self._updated_s) * rate)
        self._updated_s = now
        if tokens < least:
            self._tokens = tokens
            return False
        self._tokens = tokens - packets
        return True


UNLIMITED: Final = StormControl(0, 0.0)
"""For a port without a limit: a TAP of the server, a trunk."""
