"""A port's egress queue: whole messages in order, bounded in bytes, read without copying."""

from __future__ import annotations

from collections import deque
from itertools import islice

MESSAGE_LEAST_BYTES = 64
"""A message counts as at least so much: keeping a small one costs more memory than its bytes."""

CONTROL_RESERVE_BYTES = 4096
"""Pings and pongs have so much room of their own: frames cannot crowd them out."""


class EgressQueue:
    """Messages waiting to be written to a port; a message once begun is always finished."""

    __slots__ = ("limit_bytes", "limit_messages", "messages", "size_bytes", "written_bytes")

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes` bounds what waits; a message that is alone is taken whatever its length."""
        self.limit_bytes = limit_bytes
        self.limit_messages = max(1, limit_bytes // MESSAGE_LEAST_BYTES)
        self.messages: deque[bytes] = deque()
        self.size_bytes = 0
        self.written_bytes = 0
        """How much of the first message has been written already."""

    def push(self, message: bytes) -> bool:
        """Append `message`; False, and nothing done, if it would pass the bound (tail drop)."""
        size_bytes = self.size_bytes + len(message)
        messages = self.messages
        if messages and (size_bytes > self.limit_bytes or len(messages) >= self.limit_messages):
            return False
        messages.append(message)
        self.size_bytes = size_bytes
        return True

    def push_control(self, message: bytes) -> bool:
        """Put a control message before all that waits, for a station that is slow is not dead.

        False, and nothing done, if CONTROL_RESERVE_BYTES beyond the bound are used up.
        """
        size_bytes = self.size_bytes + len(message)
        if size_bytes > self.limit_bytes + CONTROL_RESERVE_BYTES:
            return False
        self.messages.insert(1 if self.written_bytes else 0, message)
        self.size_bytes = size_bytes
        return True

    def head(self, most: int) -> list[bytes | memoryview]:
        """Return up to `most` buffers that stand first, for one gathered write."""
        buffers: list[bytes | memoryview] = list(islice(self.messages, most))
        if self.written_bytes and buffers:
            buffers[0] = memoryview(buffers[0])[self.written_bytes :]
        return buffers

    def written(self, count_bytes: int) -> None:
        """Take `count_bytes`, just written, off the front."""
        if count_bytes == self.size_bytes:
            self.messages.clear()
            self.size_bytes = self.written_bytes = 0
            return
        self.size_bytes -= count_bytes
        count_bytes += self.written_bytes
        messages = self.messages
        while messages and count_bytes >= len(messages[0]):
            count_bytes -= len(messages.popleft())
        self.written_bytes = count_bytes

    def pop_batch(self, most_bytes: int) -> list[bytes]:
        """Take whole messages off the front, together at most `most_bytes`, but at least one."""
        messages = self.messages
        batch = [messages.popleft()]
        size_bytes = len(batch[0])
        while messages and size_bytes + len(messages[0]) <= most_bytes:
            size_bytes += len(messages[0])
            batch.append(messages.popleft())
        self.size_bytes -= size_bytes
        return batch

    def push_back(self, batch: list[bytes]) -> None:
        """Put a batch that could not be written back in front."""
        self.messages.extendleft(reversed(batch))
        self.size_bytes += sum(map(len, batch))

    @property
    def begun(self) -> bool:
        """Whether a message is half written: nothing else may be written between its halves."""
        return self.written_bytes > 0
