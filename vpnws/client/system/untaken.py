"""Says what the server offers to a device that the client cannot set up, such as a guest's."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from vpnws.client.life import Follower
from vpnws.client.settings import ACCEPTABLE
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.tap.contract import Tap
    from vpnws.wire.offer import Offer

MAX_SAID: Final = 8
"""Different offers to such a device that one run says; a server could make up ever new ones."""
log = logging.getLogger(__name__)


class Untaken(Follower):
    """What the server has offered, for whoever sets the device up."""

    def __init__(self, tap: Tap) -> None:
        """`tap` is the device."""
        self._tap = tap
        self._said: set[str] = set()

    def told(self, offer: Offer) -> None:
        """Say it once; nothing is applied."""
        parts = [f"{name} {_shown(getattr(offer, name))}" for name in ACCEPTABLE]
        text = ", ".join(part for part in parts if not part.endswith(" "))
        if text and text not in self._said and len(self._said) < MAX_SAID:
            self._said.add(text)
            log.info("the server offers %s: set it up %s", one_line(text), _where(self._tap))


def can_be_set_up(tap: Tap) -> bool:
    """Return whether the client can give addresses and routes to `tap`."""
    return not _where(tap)


def _where(tap: Tap) -> str:
    """Return where `tap` is set up if the client cannot; empty if it can."""
    if not tap.is_interface:
        return f"in the guest at {tap.name}"
    if not tap.state().is_here:
        return f"in the network namespace that {tap.name} is in"
    return "" if sys.platform == "linux" else f"by ifconfig {tap.name} and route"


def _shown(value: tuple[str, ...] | int) -> str:
    return str(value or "") if isinstance(value, int) else " ".join(value)
