"""Says in the words of a log line who a station is and what it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.text import log_value
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.server.port.session import Session
    from vpnws.server.web.identity import Identity
    from vpnws.switch.port import AccessPort


def describe(session: Session) -> str:
    """Return who and where a station is, in one line that a station cannot forge or break."""
    mac = format_mac(session.announced_mac) if session.announced_mac else ""
    return _in_words(
        network=session.network,
        **_names(session.identity),
        mac=mac,
        rights=describe_rights(session),
        subprotocol=session.subprotocol,
    )


def describe_briefly(session: Session, stations: Iterable[bytes]) -> str:
    """Return who a station is, and its MAC or one of the `stations` learned on its port."""
    mac = session.announced_mac or min(stations, default=None)
    return _in_words(**_names(session.identity), mac=format_mac(mac) if mac else "")


def describe_end(port: AccessPort, reason: str, age_s: float) -> str:
    """Return why `port` ends, how long it was up, what passed and what was dropped."""
    drops = " ".join(f"{why}={count}" for why, count in sorted(port.drops.items()))
    return (
        f"down after {age_s:.0f} s: '{log_value(reason, keep=' ')}';"
        f" rx {port.rx_frames} frames, {port.rx_bytes} bytes;"
        f" tx {port.tx_frames} frames, {port.tx_bytes} bytes; drops {drops or 'none'}"
    )


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


def describe_identity(identity: Identity) -> str:
    """Return who sent a request that did not become a station."""
    return _in_words(**_names(identity))


def _names(identity: Identity) -> dict[str, str]:
    return {"user": identity.remote_user, "dn": identity.dn, "addr": identity.remote_addr}


def _in_words(**values: str) -> str:
    return " ".join(f"{key}={log_value(value) or '-'}" for key, value in values.items())
