"""Who may take over a MAC from another port, and how often."""

from __future__ import annotations

from typing import Final

ANONYMOUS: Final = bytes(8)
"""The claim of a port whose station the proxy did not name."""
TRUSTED: Final = b"\xff" * 8
"""The claim of a port that may bring any MAC: a TAP of the server. A station that bridges by right
keeps its own claim, or it could take the gateway's MAC from behind the TAP."""
MAX_MOVES: Final = 5
"""A MAC that moves more often than this within `WINDOW_S` is in a loop, or two stations fight over
it; it is not roaming. It is held where it is (`move_guard`)."""
WINDOW_S: Final = 10.0
"""Moves are counted for this long, then counted from zero."""
HOLD_S: Final = 10.0
"""A MAC that moved too often stays where it is for this long."""
MAX_WATCHED_MACS: Final = 1024
"""MACs whose moves are counted at once. When the table is full all counts are forgotten; the FDB
forgets nothing."""


def may_claim(holder: bytes, claimant: bytes) -> bool:
    """Return whether a port with the claim `claimant` may take a MAC from one with `holder`.

    A claim is 8 bytes: a digest of the station's name, ANONYMOUS or TRUSTED. The MAC of a named
    station stays its own until it ages out; so does that of a trusted port.
    """
    return claimant in (holder, TRUSTED) or holder == ANONYMOUS


class MoveGuard:
    """Counts how often each MAC moves, and holds one that moves too often."""

    __slots__ = ("_moves",)

    def __init__(self) -> None:
        self._moves: dict[bytes, tuple[int, float]] = {}

    def admit(self, mac: bytes, now: float) -> bool:
        """Count one move of `mac` at `now` seconds; return False while it is held."""
        count, since_s = self._moves.get(mac, (0, now))
        if count >= MAX_MOVES:
            if now - since_s < HOLD_S:
                return False
            count = 0
        elif now - since_s >= WINDOW_S:
            count = 0
        if len(self._moves) >= MAX_WATCHED_MACS and mac not in self._moves:
            self._moves.clear()
        begins_now = count == 0 or count + 1 == MAX_MOVES
        self._moves[mac] = (count + 1, now if begins_now else since_s)
        return True
