"""An egress queue as plain data: all that another process needs to take it over."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from vpnws.switch.drop import Drop
from vpnws.switch.queue.codel import Codel
from vpnws.switch.queue.delay import no_delays


@dataclass(slots=True)
class FlowState:
    """One flow and its items."""

    items: list[bytes]
    """Oldest first; there is at least one."""
    came_s: list[float]
    """When each item came, on the clock that all processes of a machine share."""
    deficit_bytes: int
    is_new: bool
    """Whether it goes before the flows that have had their turn."""
    codel: Codel = field(default_factory=Codel)


@dataclass(slots=True)
class QueueCounts:
    """How much a queue was given, and how much of that it dropped or marked."""

    offered_frames: int = 0
    offered_bytes: int = 0
    discarded_frames: int = 0
    """Frames that were dropped, at once or later."""
    discarded_bytes: int = 0
    marked: int = 0
    """Frames marked CE instead of dropped."""
    delays: list[int] = field(default_factory=no_delays)
    """Frames that left after they had waited in a flow, by bucket of their wait (queue/delay). A
    frame that goes at once is not among them."""
    waited_s: float = 0.0
    """How long they waited, together."""

    def discard(self, size_bytes: int) -> None:
        """Count a frame of `size_bytes` as dropped."""
        self.discarded_frames += 1
        self.discarded_bytes += size_bytes

    def copy(self) -> QueueCounts:
        """Return counts that stay as they are when these go on."""
        return replace(self, delays=list(self.delays))


@dataclass(slots=True)
class QueueState:
    """An egress queue without what belongs to one connection: `controls` and `rest`."""

    items: list[bytes] = field(default_factory=list)
    """Items in the order they came that belong to no flow yet."""
    flows: list[FlowState] = field(default_factory=list)
    """Flows in the order of their turns."""
    backed_up: bool = False
    drops: Counter[Drop] = field(default_factory=Counter[Drop])
    """Dropped frames by reason."""
    counts: QueueCounts = field(default_factory=QueueCounts)
