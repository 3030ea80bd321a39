"""A port's egress queue: items in order, bounded in bytes, written before anybody waits for them.

An item is what is written for one frame or for a run of frames: a WebSocket message, a trunk's
record, a frame. How a port's items hold frames is its `Layout`.

The link's part: while its socket takes everything, `take` and write. When the socket is full, say
what of the last write is left (`keep`) and set `backed_up`; from then on take small bites, for what
was taken is out of the queue's reach. Written first is `rest`, then `controls`, then what `take`
returns. No item, no control message and no buffer of a rest is empty.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MESSAGE_LEAST_BYTES = 64
"""An item counts as at least so much: keeping a small one costs more memory than its bytes."""

CONTROL_RESERVE_BYTES = 4096
"""Pings and pongs have so much room of their own: frames cannot crowd them out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the items of a port's queue hold frames."""

    frame_at: Callable[[bytes], int]
    """Return where in an item its first Ethernet frame begins."""
    split: Callable[[bytes], Iterable[bytes]]
    """Return an item of several frames as items of one frame each."""


WHOLE_FRAMES = Layout(frame_at=lambda _item: 0, split=lambda item: (item,))
"""An item is a frame, and nothing else."""


class EgressQueue:
    """What waits to be written to a port; an item once begun is always finished."""

    __slots__ = (
        "_fifo",
        "_other_bytes",
        "_rest_bytes",
        "backed_up",
        "controls",
        "discarded_bytes",
        "discarded_frames",
        "drops",
        "layout",
        "limit_bytes",
        "limit_items",
        "marked",
        "rest",
        "size_bytes",
    )

    def __init__(self, limit_bytes: int, layout: Layout = WHOLE_FRAMES) -> None:
        """`limit_bytes` bounds what waits; an item that is alone is taken whatever its length."""
        self.limit_bytes = limit_bytes
        self.limit_items = max(1, limit_bytes // MESSAGE_LEAST_BYTES)
        self.layout = layout
        """May be set later, before the first push."""
        self.drops: Counter[Drop] = Counter()
        """Frames dropped, by reason; the port has this very counter."""
        self.discarded_frames = 0
        """How many of them `push` had accepted."""
        self.discarded_bytes = 0
        """The bytes of their items."""
        self.marked = 0
        """Frames marked CE instead of dropped."""
        self.size_bytes = 0
        """All that waits, `rest` and `controls` with it."""
        self.backed_up = False
        """Whether the socket is full: the link sets it; it ends when nothing waits any more."""
        self.controls: deque[bytes] = deque()
        self.rest: list[bytes | memoryview] = []
        """What the socket has not taken of the last write: next, whatever happens; see `keep`."""
        self._fifo: deque[bytes] = deque()
        self._rest_bytes = 0
        self._other_bytes = 0
        """The bytes of all that waits and is no frame: rest and controls."""

    def push(self, item: bytes, frames: int, now: float) -> bool:
        """Queue `item`, which holds `frames` frames; False if it was dropped, and counted, at once.

        `now` is in seconds.
        """
        size_bytes = self.size_bytes + len(item)
        fifo = self._fifo
        if (size_bytes > self.limit_bytes or len(fifo) >= self.limit_items) and self.size_bytes:
            self.drops[Drop.EGRESS_FULL] += frames
            return False
        fifo.append(item)
        self.size_bytes = size_bytes
        return True

    def push_control(self, message: bytes) -> bool:
        """Put a control message before the frames, for a station that is slow is not dead.

        False, and nothing done, if CONTROL_RESERVE_BYTES are used up by others.
        """
        control_bytes = self._other_bytes - self._rest_bytes + len(message)
        if control_bytes > CONTROL_RESERVE_BYTES:
            return False
        self.controls.append(message)
        self._other_bytes += len(message)
        self.size_bytes += len(message)
        return True

    def take(self, most_bytes: int, most_items: int, now: float) -> list[bytes]:
        """Take the next items, together within both bounds, but at least one if there is one."""
        fifo = self._fifo
        if self.size_bytes <= most_bytes and len(fifo) <= most_items:
            items = list(fifo)
            fifo.clear()
            self.size_bytes = self._other_bytes
        else:
            items = self._take_front(fifo, most_bytes, most_items)
        if not self.size_bytes:
            self.backed_up = False
        return items

    def take_controls(self) -> list[bytes]:
        """Take all control messages."""
        messages = list(self.controls)
        self.controls.clear()
        self.size_bytes -= self._other_bytes - self._rest_bytes
        self._other_bytes = self._rest_bytes
        return messages

    def keep(self, rest: Sequence[bytes | memoryview]) -> None:
        """Note what the socket has not taken: `rest` from now on, in place of what was."""
        self.rest = list(rest)
        rest_bytes = sum(map(len, self.rest))
        self._other_bytes += rest_bytes - self._rest_bytes
        self.size_bytes += rest_bytes - self._rest_bytes
        self._rest_bytes = rest_bytes
        if not self.size_bytes:
            self.backed_up = False

    def push_back(self, items: Sequence[bytes]) -> None:
        """Put items just taken, of which none was written, back in front."""
        self._fifo.extendleft(reversed(items))
        self.size_bytes += sum(map(len, items))

    @property
    def begun(self) -> bool:
        """Whether something is half written: nothing else may be written before its end."""
        return self._rest_bytes > 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return self.size_bytes > 0

    def _take_front(self, fifo: deque[bytes], most_bytes: int, most_items: int) -> list[bytes]:
        items: list[bytes] = []
        size_bytes = 0
        while fifo and len(items) < max(1, most_items):
            if items and size_bytes + len(fifo[0]) > most_bytes:
                break
            items.append(fifo.popleft())
            size_bytes += len(items[-1])
        self.size_bytes -= size_bytes
        return items
