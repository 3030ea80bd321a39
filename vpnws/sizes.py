"""Sizes that rooms side by side share: each stands here and nowhere else."""

from __future__ import annotations

from typing import Final

MAX_WRITE_BUFFERS: Final = 512
"""Buffers in one gathered write (Linux takes 1024)."""
WRITE_BYTES: Final = 131072
"""One write is offered about this many bytes."""
MAX_UNSENT_BYTES: Final = 131072
"""Bytes that the kernel may hold unsent on a TCP socket: what is there stands before a ping."""
TURN_FRAMES: Final = 64
"""Frames read from a TAP before others have their turn."""
TURN_BYTES: Final = 131072
"""The same in bytes; one frame more may come."""
