"""Says who a station is and what it may do, in the words of a log line and as fields of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpnws.text import log_value, log_words
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vpnws.control.views import FieldValue
    from vpnws.server.port.session import Session
    from vpnws.server.web.identity import Identity
    from vpnws.switch.port import AccessPort


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom or what an event is about."""

    words: str
    """For the line, in words that a station cannot forge or break."""
    fields: Mapping[str, FieldValue] = field(default_factory=dict, compare=False)
    """The same for programs."""


def describe(session: Session) -> str:
    """Return who and where a station is, in one line that a station cannot forge or break."""
    mac = format_mac(session.announced_mac) if session.announced_mac else ""
    return log_words(
        network=session.network,
        **_names(session.identity),
        mac=mac,
        rights=describe_rights(session),
        subprotocol=session.subprotocol,
    )


def describe_briefly(session: Session, stations: Iterable[bytes]) -> Subject:
    """Return who a station is, and its MAC or one of the `stations` learned on its port."""
    mac = session.announced_mac or min(stations, default=None)
    named = {**_names(session.identity), "mac": format_mac(mac) if mac else ""}
    return Subject(log_words(**named), {"network": session.network, **named})


def describe_end(port: AccessPort, reason: str, age_s: float) -> str:
    """Return why `port` ends, how long it was up, what passed and what was dropped."""
    return (
        f"down after {age_s:.0f} s: '{log_value(reason, keep=' ')}';"
        f" rx {port.rx_frames} frames, {port.rx_bytes} bytes;"
        f" tx {port.tx_frames} frames, {port.tx_bytes} bytes;"
        f" drops {describe_drops(port) or 'none'}"
    )


def describe_drops(port: AccessPort) -> str:
    """Return how many frames were dropped at `port` for which reason."""
    return " ".join(f"{why}={count}" for why, count in sorted(port.drops.items()))


def describe_rights(session: Session) -> str:
    """Return what a station may do, and whether it asked for more."""
    rights = session.rights
    role = rights.role.kind.name.lower() + (rights.role.community and f":{rights.role.community}")
    words = [role]
    if rights.allow is not None:
        words.append("allow:" + "+".join(map(str, rights.allow)))
    if rights.may_bridge:
        words.append("bridge")
    elif session.wants_bridge:
        words.append("bridge-refused")
    return ",".join(words)


def describe_identity(identity: Identity) -> Subject:
    """Return who sent a request that did not become a station."""
    names = _names(identity)
    return Subject(log_words(**names), names)


def _names(identity: Identity) -> dict[str, str]:
    return {"user": identity.remote_user, "dn": identity.dn, "addr": identity.remote_addr}
