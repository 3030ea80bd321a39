"""What was refused or not found a moment ago, so that the shared table is not asked again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vpnws.switch.drop import Drop
    from vpnws.switch.port import AccessPort

VERDICT_S: Final = 0.1
"""A source that was refused stays refused for this long; then it is judged again."""
MAX_VERDICTS: Final = 1024
"""Refused sources that are remembered. A full table is emptied, and they are judged again."""
MISS_S: Final = 0.1
"""A MAC that was not found is not looked up again for this long; its frames are flooded."""
MAX_MISSES: Final = 1024
"""MACs that were not found and are remembered. A full table is emptied, and they are looked up
again."""


class RecentVerdicts:
    """Sources that were judged, and the verdicts on them."""

    __slots__ = ("_verdicts",)

    def __init__(self) -> None:
        """Nothing has been judged yet."""
        self._verdicts: dict[bytes, tuple[AccessPort, Drop | None, float]] = {}

    def find(self, port: AccessPort, mac: bytes, now: float) -> tuple[Drop | None] | None:
        """Return the verdict on `mac` at `port`, in a tuple; None if it has to be judged."""
        verdict = self._verdicts.get(mac)
        if verdict is None or verdict[0] is not port or now >= verdict[2]:
            return None
        return (verdict[1],)

    def add(self, port: AccessPort, mac: bytes, verdict: Drop | None, now: float) -> None:
        """Remember a verdict; None lets frames pass unlearned."""
        if len(self._verdicts) >= MAX_VERDICTS:
            self._verdicts.clear()
        self._verdicts[mac] = (port, verdict, now + VERDICT_S)

    def forget(self, mac: bytes) -> None:
        """Have `mac` judged again."""
        self._verdicts.pop(mac, None)


class RecentMisses:
    """MACs that the shared table did not have."""

    __slots__ = ("_until_s",)

    def __init__(self) -> None:
        """Nothing has been missed yet."""
        self._until_s: dict[bytes, float] = {}

    def has(self, mac: bytes, now: float) -> bool:
        """Return whether `mac` was not found a moment ago."""
        return now < self._until_s.get(mac, -inf)

    def add(self, mac: bytes, now: float) -> None:
        """Remember that `mac` was not found."""
        if len(self._until_s) >= MAX_MISSES:
            self._until_s.clear()
        self._until_s[mac] = now + MISS_S

    def forget(self, mac: bytes) -> None:
        """Note that `mac` is known now."""
        self._until_s.pop(mac, None)
