"""Counts frames that crossed, and every frame that did not, with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Drop(Enum):
    """Why a frame went no further."""

    SHORT = "too short"
    OVERSIZE = "longer than the MTU allows"
    RECORD = "record does not fit its frame"
    TAP_FULL = "device queue full"
    TAP_REFUSED = "refused by the device"
    STALE = "queued while not connected"


@dataclass(slots=True)
class Counters:
    """One run's counts, over all its connections."""

    frames_sent: int = 0
    frames_received: int = 0
    drops: Counter[Drop] = field(default_factory=Counter)

    def summary(self) -> str:
        """Return the counts in words; only those drops that happened are named."""
        text = f"{self.frames_sent} frames sent, {self.frames_received} received"
        if not self.drops:
            return text
        drops = ", ".join(f"{count} {drop.value}" for drop, count in self.drops.items())
        return f"{text}, dropped: {drops}"
