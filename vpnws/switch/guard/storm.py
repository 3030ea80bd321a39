"""Storm control: how many flooded frames one port may cause."""

from __future__ import annotations

from typing import Final

DISCOVERY_PER_S: Final = 100
"""ARP, ND and DHCP of a port that has used up its storm limit: this many frames a second pass all
the same, so that a video stream does not cut its sender off from its neighbors."""


class _Bucket:
    """A token bucket; a second's worth of tokens is in it at most."""

    __slots__ = ("_per_s", "_tokens", "_updated_s")

    def __init__(self, per_s: int, now: float) -> None:
        self._per_s = per_s
        self._tokens = float(per_s)
        self._updated_s = now

    def take(self, count: int, at_least: int, now: float) -> bool:
        """Take `count` tokens if there are `at_least` so many; what is missing is owed."""
        tokens = min(self._per_s, self._tokens + (now - self._updated_s) * self._per_s)
        self._updated_s = now
        is_there = tokens >= at_least
        self._tokens = tokens - count if is_there else tokens
        return is_there


class StormControl:
    """What one port may flood: broadcast, unknown unicast and multicast (BUM) frames."""

    __slots__ = ("_discovery", "_frames")

    def __init__(self, rate: int, now: float) -> None:
        """`rate` is in frames per second; one second's worth may come at once; 0 is no limit."""
        self._frames = _Bucket(rate, now) if rate else None
        self._discovery = _Bucket(DISCOVERY_PER_S, now)

    def admit(self, packets: int, now: float) -> bool:
        """Take what stands for `packets` frames at `now` seconds; False when it is too much.

        Several that come as one may take more than there is left: those after them pay for it.
        """
        return self._frames is None or self._frames.take(packets, 1, now)

    def admit_all(self, packets: int, now: float) -> bool:
        """Take what stands for `packets` frames at `now` seconds, if there is that much left."""
        return self._frames is None or self._frames.take(packets, packets, now)

    def admit_discovery(self, now: float) -> bool:
        """Take a frame by which a host finds addresses, after `admit` has refused it."""
        return self._discovery.take(1, 1, now)


UNLIMITED: Final = StormControl(0, 0.0)
"""For a port without a limit: a TAP of the server, a trunk."""
