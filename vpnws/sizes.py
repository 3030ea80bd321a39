"""Sizes that several rooms share: each is defined here and nowhere else."""

from __future__ import annotations

from typing import Final

MAX_WRITE_BUFFERS: Final = 512
"""Buffers in one gathered write; Linux allows 1,024. Another write takes the rest."""
WRITE_BYTES: Final = 131072
"""A write that has this much takes no further message; another write takes the rest."""
MAX_UNSENT_BYTES: Final = 131072
"""Unsent bytes that the kernel may hold for a TCP socket; a ping waits behind them. When it holds
more, the socket takes nothing: the port is backed up, and the client does not read its TAP."""
MAX_STATION_LIMIT: Final = 65536
"""Most MACs that the port of a station may be allowed to have."""
MAX_STORM_LIMIT: Final = 10_000_000
"""Most frames per second that storm control may be set to; without a limit it does not count."""
MIN_EGRESS_LIMIT_BYTES: Final = 65_536
"""An egress queue has room for one frame of the largest size at least."""
MAX_EGRESS_LIMIT_BYTES: Final = 1 << 30
"""The most that may wait in one egress queue."""
TURN_FRAMES: Final = 64
"""Frames that are read from a TAP in one turn; then others have their turn."""
TURN_BYTES: Final = 131072
"""The same in bytes; one frame more may come."""
