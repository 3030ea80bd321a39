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
MAX_DISCOVERY_LOOKS: Final = 16
"""Frames of one train that are too much and are looked at, in search of ARP, ND and DHCP. The rest
of the train is dropped unseen, so that a flood costs its sender only."""


class StormControl:
    """What one port may flood: broadcast, unknown unicast and multicast (BUM) frames."""

    __slots__ = ("_discovery", "_frames", "rate")

    def __init__(self, rate: int, now: float) -> None:
        """`rate` is in frames per second, 0 for no limit. A burst may be one second's worth."""
        self.rate = rate
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
        return _is_question(train) and self._discovery.take(1, 1, now)

    def tokens(self, now: float) -> float | None:
        """Return for how many frames there are tokens at `now` seconds; None is no limit."""
        return None if self._frames is None else self._frames.tokens(now)

    def would_pass(self, train: Train, now: float) -> bool:
        """Return whether a train of one frame would pass at `now` seconds; take no tokens."""
        if self._frames is None or self._frames.tokens(now) >= 1:
            return True
        return _is_question(train) and self._discovery.tokens(now) >= 1


def _is_question(train: Train) -> bool:
    """Return whether a train's first frame finds addresses: ARP, ND or DHCP to a group."""
    return bool(train.addresses[0] & 1) and is_discovery(train.frames()[0])


UNLIMITED: Final = StormControl(0, 0.0)
"""For ports without a limit: trunks and the server's TAPs."""
