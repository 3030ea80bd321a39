"""Counts the frames that crossed, and those that were dropped, by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class ClientDrop(Enum):
    """Why the client dropped a frame."""

    SHORT = "too short"
    """The frame is shorter than a header."""
    OVERSIZE = "longer than the MTU allows"
    """The frame is longer than MTU, header and two tags together."""
    RECORD = "record does not fit its frame"
    """A record from the server is cut short, or its virtio header is not true of its frame; or a
    frame of the TAP cannot be sent in any form."""
    TAP_FULL = "device queue full"
    """The kernel accepts no more frames at the moment."""
    TAP_REFUSED = "refused by the device"
    """The kernel refused this frame, for example because the device is down."""
    STALE = "queued while not connected"
    """The frame waited in the TAP during an outage, or before the first connection. One or two at
    the start are normal."""


@dataclass(slots=True)
class Counters:
    """The counts of one run of the client, over all its connections."""

    frames_sent: int = 0
    frames_received: int = 0
    drops: Counter[ClientDrop] = field(default_factory=Counter)

    def summary(self) -> str:
        """Return the counts in words; reasons that did not occur are left out."""
        text = f"{self.frames_sent} frames sent, {self.frames_received} received"
        if not self.drops:
            return text
        drops = ", ".join(f"{count} {drop.value}" for drop, count in self.drops.items())
        return f"{text}, dropped: {drops}"
