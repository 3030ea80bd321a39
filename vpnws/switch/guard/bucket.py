"""A token bucket: bounds how much passes per second, and lets one second's worth pass at once."""

from __future__ import annotations


class TokenBucket:
    """Tokens that come at a steady rate; the bucket holds at most one second's worth."""

    __slots__ = ("_per_s", "_tokens", "_updated_s")

    def __init__(self, per_s: int, now: float) -> None:
        """The bucket is full at `now` seconds."""
        self._per_s = per_s
        self._tokens = float(per_s)
        self._updated_s = now

    def tokens(self, now: float) -> float:
        """Return how many tokens there are at `now` seconds."""
        return min(self._per_s, self._tokens + (now - self._updated_s) * self._per_s)

    def take(self, count: int, min_tokens: int, now: float) -> bool:
        """Take `count` tokens if there are `min_tokens`; missing ones are owed."""
        tokens = self.tokens(now)
        self._updated_s = now
        is_enough = tokens >= min_tokens
        self._tokens = tokens - count if is_enough else tokens
        return is_enough
