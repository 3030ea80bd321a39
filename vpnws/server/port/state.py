"""The states of a link, and every way from one to another.

A link goes one way through three states (RFC 6455 7.1.1 has the connection closed after the closing
handshake; a station that does not answer is not waited for longer than LINGER_S):

             end                    close: the station answered, or
      OPEN ---------> LINGERING ----------------> CLOSED      waited for too long,
       |                                            ^         or there is no room to wait
       +--------------------------------------------+
            answer_close, lose, hand_over

OPEN       The port is attached to the switch; frames are read and written.
LINGERING  The port is detached and our close frame is sent; what still comes is discarded.
CLOSED     The connection is closed, or another process has it.

`TRANSITIONS` is this picture as a table.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class LinkStateError(Exception):
    """A link was asked for a transition that does not exist: the caller is wrong."""


class LinkState(Enum):
    """Where a link is in its life."""

    OPEN = "open"
    LINGERING = "lingering"
    CLOSED = "closed"


class LinkEvent(Enum):
    """What brings a link from one state to the next; named for the function that does it."""

    END = "end"
    ANSWER_CLOSE = "answer_close"
    LOSE = "lose"
    HAND_OVER = "hand_over"
    CLOSE = "close"


TRANSITIONS: Final[Mapping[tuple[LinkState, LinkEvent], LinkState]] = {
    (LinkState.OPEN, LinkEvent.END): LinkState.LINGERING,
    (LinkState.OPEN, LinkEvent.ANSWER_CLOSE): LinkState.CLOSED,
    (LinkState.OPEN, LinkEvent.LOSE): LinkState.CLOSED,
    (LinkState.OPEN, LinkEvent.HAND_OVER): LinkState.CLOSED,
    (LinkState.LINGERING, LinkEvent.CLOSE): LinkState.CLOSED,
}
"""Every allowed transition; any other is refused."""
