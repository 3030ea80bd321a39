"""A capture as it grows: copies come in, pcapng goes out, and what was lost is counted."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from vpnws.control.pcapng import Packet, PcapngWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.control.capture_asks import CopiesPost, CopyView

MAX_RECORDING_BYTES: Final = 4 * 1024 * 1024
"""What waits to be read of one capture; further copies are lost and counted."""
MAX_CHUNK_BYTES: Final = 128 * 1024
"""What is read of a capture at once; one block more may come."""
SWITCH: Final = "switch"
"""The first interface. It counts the lost copies of which no later frame of their port tells."""


class Recording:
    """One capture."""

    def __init__(self, snap_bytes: int, now_s: float) -> None:
        """Begin at `now_s`, a Unix time; no copy is longer than `snap_bytes`."""
        self._writer = PcapngWriter(snap_bytes, now_s)
        self._blocks: deque[bytes] = deque()
        self._size_bytes = 0
        self._untold: Counter[str] = Counter()
        """Copies lost here, by port, since the last one that was kept."""
        self._told: Counter[str] = Counter()
        """Frames that each process has told of: with a copy, or as lost."""

    @property
    def frames(self) -> int:
        """Frames that are in the capture."""
        return self._writer.packets

    @property
    def lost(self) -> int:
        """Copies that were lost, as far as is known."""
        return self._writer.lost + self._untold.total()

    def begin(self, version: str, comment: str) -> None:
        """Write what a capture begins with."""
        self._put(self._writer.begin(version, comment))
        # tcpdump says nothing before it knows an interface.
        self._put(self._writer.add_port(SWITCH, "copies lost that no frame tells of"))

    def beat(self, now_s: float) -> None:
        """Write something that says nothing new, so that nobody takes the stream for dead."""
        self._put(self._writer.statistics(SWITCH, now_s))

    def add(self, post: CopiesPost) -> None:
        """Write copies; those that find no room are lost."""
        for port, description in post.ports.items():
            self._put(self._writer.add_port(port, description))
        for copy in post.copies:
            self._told[post.process] += 1 + copy.lost
            if self._size_bytes + len(copy.data) > MAX_RECORDING_BYTES:
                self._untold[copy.port] += 1 + copy.lost
            else:
                lost = copy.lost + self._untold.pop(copy.port, 0)
                self._put(self._writer.add_packet(copy.port, _packet(copy, lost)))

    def end(self, seen: Mapping[str, int], now_s: float, comment: str = "") -> None:
        """Write the statistics, with a comment perhaps.

        `seen` is how many frames each process was to copy, in all.
        """
        for port, count in self._untold.items():
            self._writer.lose(port, count)
        self._untold.clear()
        lost = sum(max(0, count - self._told[process]) for process, count in seen.items())
        self._writer.lose(SWITCH, lost)
        self._put(self._writer.end(now_s, comment))

    def read(self) -> bytes:
        """Take the next part of the capture; empty if nothing waits."""
        taken: list[bytes] = []
        room_bytes = MAX_CHUNK_BYTES
        while self._blocks and room_bytes > 0:
            taken.append(self._blocks.popleft())
            room_bytes -= len(taken[-1])
        self._size_bytes -= MAX_CHUNK_BYTES - room_bytes
        return b"".join(taken)

    def _put(self, block: bytes) -> None:
        if block:
            self._blocks.append(block)
            self._size_bytes += len(block)


def _packet(copy: CopyView, lost: int) -> Packet:
    fate = f", dropped: {copy.reason}" if copy.reason else ""
    return Packet(
        time_s=copy.time_s,
        data=copy.data,
        size_bytes=copy.size_bytes,
        direction=copy.direction,
        comment=f"{copy.direction} at {copy.port}{fate}",
        lost=lost,
    )
