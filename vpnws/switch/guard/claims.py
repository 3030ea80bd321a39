"""Who may take a MAC from another port: whose it is, and whether its holder still sends from it.

Nobody can move a MAC by sending from it alone. A port that sends from a MAC of another live port
only *challenges* the holder. The holder answers with its next frame from that MAC, and then keeps
it; a holder that stays silent for CHALLENGE_S loses it. So a machine that moves is followed within
about a second, and a loop or a fight stays with whoever still talks.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vpnws.switch.location import Location

ANONYMOUS: Final = bytes(8)
"""The claim on a MAC that belongs to no name: of a station that the proxy did not name, or of a
host behind a TAP of the server or behind a station that bridges."""
OWN: Final = b"\xff" * 8
"""The claim on the server's own MACs: its TAPs', their bridges' and `vpnws-pinned-macs`. A port
that has this claim is a TAP."""
CHALLENGE_S: Final = 1.0
"""A holder that sends nothing from a MAC for this long after a challenge loses the MAC."""
CHALLENGE_AGAIN_S: Final = 2.0
"""After its holder has answered, a MAC cannot be challenged again for this long."""
CHALLENGES_PER_S: Final = 100
"""One port may challenge this often; until then its other frames from MACs that others hold are
dropped."""
RESERVED_S: Final = 60.0
"""A named station's MAC stays its own for this long after its connection broke or the server ended
it. A client is back well before."""


class Verdict(Enum):
    """What happens to a frame from a MAC that another port holds."""

    TAKE = auto()
    """The MAC moves to the port at once."""
    CHALLENGE = auto()
    """The frame is dropped, and the holder challenged."""
    WAIT = auto()
    """The frame is dropped; the holder may still answer, or has just done so."""
    REFUSE = auto()
    """The frame is dropped: the MAC belongs to another name."""


def judge(there: Location, claim: bytes, now: float, *, is_tap: bool, had_it: bool) -> Verdict:
    """Judge a frame from a MAC that `there` holds; it came in at a port with `claim` on that MAC.

    A claim is 8 bytes: a digest of the station's name, ANONYMOUS or OWN. `is_tap` says whether the
    port is a TAP of the server: hosts behind it may have the MAC of any station that is silent,
    unless it is pinned. `had_it` says whether the port has lost the MAC to another of the same
    name: the newer one keeps it, so that two stations with one MAC do not share it half and half.
    """
    if claim == OWN:
        return Verdict.TAKE
    if there.claim == OWN:
        return Verdict.REFUSE
    if there.claim == claim != ANONYMOUS:
        return Verdict.REFUSE if had_it and there.is_somewhere else Verdict.TAKE
    if there.claim != ANONYMOUS and (there.is_pinned or not is_tap):
        return Verdict.REFUSE
    return _challenge(there, now) if there.is_somewhere else Verdict.TAKE


def _challenge(there: Location, now: float) -> Verdict:
    if there.is_contested:
        return Verdict.TAKE if now - there.rival_s >= CHALLENGE_S else Verdict.WAIT
    return Verdict.CHALLENGE if now - there.rival_s >= CHALLENGE_AGAIN_S else Verdict.WAIT
