"""How long the server takes to answer a ping; `now` is an argument."""

from __future__ import annotations


class RoundTrip:
    """The newest ping that was answered, and whether another one is under way.

    TCP's round trip ends at the web server or a proxy. This one ends at the switch behind it.
    """

    __slots__ = ("_pinged_at_s", "_pongs", "is_open", "latest_s")

    def __init__(self) -> None:
        self.is_open = False
        """Whether an answer is waited for."""
        self.latest_s: float | None = None
        """The seconds of the newest one, None if there was none yet."""
        self._pinged_at_s = 0.0
        self._pongs = 0

    def begin(self, now: float, pongs: int) -> None:
        """Note that a ping leaves; `pongs` have come so far. One that is under way goes on."""
        if not self.is_open:
            self.is_open = True
            self._pinged_at_s = now
            self._pongs = pongs

    def heard(self, now: float, pongs: int) -> None:
        """Note that something came in, and that `pongs` have come now."""
        if pongs != self._pongs:
            self.is_open = False
            self.latest_s = now - self._pinged_at_s
