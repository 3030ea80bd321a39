"""What a command is told: variables of its environment, made of what is known of a station."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from vpnws.server.port.describe import describe_rights
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.control.views import EventView
    from vpnws.server.port.session import Session

PREFIX: Final = "VPNWS_"
MAX_FACT_CHARACTERS: Final = 4096
"""A longer name or DN is cut off here before vpnws-on-connect is asked about it."""
_NOT_THEIRS: Final = (PREFIX, "UWSGI_")
"""Variables of the server itself, which a command could take for facts about the station."""


def facts_of_event(event: EventView) -> dict[str, str]:
    """Return the facts of an event: its fields, which the journal has made harmless."""
    told = {name: str(value) for name, value in event.fields.items()}
    return _named({**told, "event": event.name, "process": event.process, "time": event.time_s})


def facts_of_session(session: Session) -> dict[str, str]:
    """Return the facts of a station that wants to join."""
    who, mac = session.identity, session.announced_mac
    return _named(
        {
            "event": "connect",
            "network": session.network,
            "user": who.remote_user,
            "dn": who.dn,
            "addr": who.remote_addr,
            "mac": format_mac(mac) if mac else "",
            "rights": describe_rights(session),
            "subprotocol": session.subprotocol,
        }
    )


def environment(facts: Mapping[str, str]) -> dict[str, str]:
    """Return a command's environment: that of this process with `facts`."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_THEIRS)}
    return {**own, **facts}


def _named(facts: Mapping[str, object]) -> dict[str, str]:
    # A control character, NUL above all, cannot be or should not be in a variable.
    return {
        PREFIX + name.upper(): one_line(str(value), max_characters=MAX_FACT_CHARACTERS)
        for name, value in facts.items()
    }
