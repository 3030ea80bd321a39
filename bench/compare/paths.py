"""The bad paths of the benchmark, which station 0 has to its server."""

from __future__ import annotations

from typing import Final

from bench.compare.lane import Path

DELAY_S: Final = 0.020
JITTER_S: Final = 0.002
RATE_BIT_S: Final = 100e6
QUEUE_BYTES: Final = int(RATE_BIT_S / 8 * 2 * DELAY_S)
"""One bandwidth-delay product of the way there and back: 500 KB, or 40 ms when full."""
SEED: Final = 1
PATH_SENTENCE: Final = "20 ms +- 2 ms each way, 100 Mbit/s, a queue of 500 KB"


def _lossy(loss: float) -> Path:
    return Path(DELAY_S, JITTER_S, loss, RATE_BIT_S, QUEUE_BYTES, SEED)


BAD_PATHS: Final = {"loss-0.1%": _lossy(0.001), "loss-1%": _lossy(0.01)}
