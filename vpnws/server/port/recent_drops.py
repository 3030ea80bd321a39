"""What one port has dropped lately, by reason."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from vpnws.control.views import RECENT_S

if TYPE_CHECKING:
    from vpnws.switch.drop import Drop

MAX_PARTS: Final = 16
"""Looks of one port that found new drops and are kept; a further one puts the oldest out. There is
a look each second, and only those of the last RECENT_S count."""


class RecentDrops:
    """The drops of one port within the last RECENT_S."""

    __slots__ = ("_parts", "_seen", "_total")

    def __init__(self) -> None:
        """Nothing has been dropped yet."""
        self._parts: deque[tuple[float, Counter[Drop]]] = deque(maxlen=MAX_PARTS)
        self._seen: Counter[Drop] = Counter()
        self._total = 0

    def look(self, drops: Counter[Drop], now: float) -> None:
        """Note what has been added to `drops`; call it every second. `now` is in seconds."""
        total = drops.total()
        if total != self._total:
            self._parts.append((now, drops - self._seen))
            self._seen, self._total = drops.copy(), total

    def counts(self, drops: Counter[Drop], now: float) -> Counter[Drop]:
        """Return what `drops`, the port's counts now, got within the last RECENT_S."""
        recent = drops - self._seen
        for at_s, part in self._parts:
            if now - at_s < RECENT_S:
                recent += part
        return recent
