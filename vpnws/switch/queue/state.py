"""What waits in an egress queue as plain data: all that another process needs to go on with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vpnws.switch.drop import Drop
from vpnws.switch.queue.codel import Codel


@dataclass(slots=True)
class FlowState:
    """One flow with what waits in it."""

    items: list[bytes]
    """Oldest first; there is at least one."""
    came_s: list[float]
    """When each item came, on the clock that all processes of a machine share."""
    deficit_bytes: int
    is_new: bool
    """Whether it goes before the flows that have had a turn."""
    codel: Codel = field(default_factory=Codel)


@dataclass(slots=True)
class QueueCounts:
    """What a queue was given, and what became of it."""

    offered_frames: int = 0
    offered_bytes: int = 0
    discarded_frames: int = 0
    """Frames that were offered and dropped, at once or later."""
    discarded_bytes: int = 0
    marked: int = 0
    """Frames marked CE instead of dropped."""


@dataclass(slots=True)
class QueueState:
    """An egress queue without the messages that belong to one connection: controls and rest."""

    items: list[bytes] = field(default_factory=list)
    """Items in the order they came, given to no flow yet."""
    flows: list[FlowState] = field(default_factory=list)
    """Flows in the order of their turns."""
    backed_up: bool = False
    drops: Counter[Drop] = field(default_factory=Counter[Drop])
    """Frames dropped, by reason."""
    counts: QueueCounts = field(default_factory=QueueCounts)
