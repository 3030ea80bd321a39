"""Storm control: how many flooded frames one port may cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.switch.guard.bucket import TokenBucket
from vpnws.wire.discovery import is_discovery

if TYPE_CHECKING:
    from vpnws.wire.train import Train

DISCOVERY_PER_S: Final = 100
"""ARP, ND and DHCP of a port that has used up its storm limit: this many frames a second pass all
the same, so that a video stream does not cut its sender off from its neighbors."""


class StormControl:
    """What one port may flood: broadcast, unknown unicast and multicast (BUM) frames."""

    __slots__ = ("_discovery", "_frames")

    def __init__(self, rate: int, now: float) -> None:
        """`rate` is in frames per second, 0 for no limit. A burst may be one second's worth."""
        self._frames = TokenBucket(rate, now) if rate else None
        self._discovery = TokenBucket(DISCOVERY_PER_S, now)

    def admit(self, packets: int, now: float) -> bool:
        """Take tokens for `packets` packets at `now` seconds; return False if none are left.

        A super-frame may take more tokens than there are; the frames after it pay for that.
        """
        return self._frames is None or self._frames.take(packets, 1, now)

    def admit_all(self, packets: int, now: float) -> bool:
        """Take tokens for `packets` packets at `now` seconds, if there are as many."""
        return self._frames is None or self._frames.take(packets, packets, now)

    def spares(self, train: Train, now: float) -> bool:
        """Return whether a frame that `admit` has refused may pass: one that finds addresses."""
        is_group = bool(train.addresses[0] & 1)
        return is_group and is_discovery(train.frames()[0]) and self._discovery.take(1, 1, now)


UNLIMITED: Final = StormControl(0, 0.0)
"""For ports without a limit: trunks and the server's TAPs."""
