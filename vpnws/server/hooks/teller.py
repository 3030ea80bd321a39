"""Tells the process for hooks what happens in this process, if anybody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.control.hook_asks import ToldAsk
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from vpnws.config import Settings
    from vpnws.control.asks import Peers
    from vpnws.control.views import EventView
    from vpnws.server.journal import Journal


def wanted_events(settings: Settings) -> frozenset[str]:
    """Return the names of the events that some hook wants to know.

    Raises ConfigError if vpnws-webhook-events has a name that is no event's.
    """
    unknown = set(settings.webhook_events) - set(Event)
    if unknown:
        raise ConfigError(
            f"vpnws-webhook-events: {min(unknown)} is not an event; docs/events.md has them all"
        )
    commands = {
        Event.JOIN: settings.on_connect,
        Event.LEAVE: settings.on_disconnect,
        Event.LEARN: settings.on_learn,
    }
    named = {event.value for event, command in commands.items() if command}
    posted: set[str] = set()
    if settings.webhook:
        quiet = (Event.LEARN.value, Event.ADDRESS.value)
        posted = set(settings.webhook_events) or {e.value for e in Event if e.value not in quiet}
    return frozenset(named | posted)


def tell_hooks(settings: Settings, peers: Peers, journal: Journal, slot: int) -> None:
    """Have the process at `slot` told of the events of `journal` that it wants; if it wants none,
    nothing is done at an event.
    """
    wanted = wanted_events(settings)
    if wanted:
        journal.listen(Teller(peers, slot, wanted).tell)


class Teller:
    """A listener of a journal that passes events on; those that find no room are counted."""

    def __init__(self, peers: Peers, slot: int, wanted: frozenset[str]) -> None:
        """Tell the process at `slot` the events named in `wanted`."""
        self._peers = peers
        self._slot = slot
        self._wanted = wanted
        self._lost = 0

    def tell(self, event: EventView) -> None:
        """Pass `event` on; it never waits."""
        if event.name in self._wanted:
            is_sent = self._peers.post(self._slot, ToldAsk(event=event, lost=self._lost))
            self._lost = 0 if is_sent else self._lost + 1
