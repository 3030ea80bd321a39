"""What the web server grants a station: its role, the networks it may reach, whether it bridges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.errors import RightsError
from vpnws.server.web.variables import ALLOW, BRIDGE, ROLE
from vpnws.switch.guard.destinations import IpNetwork, parse_destinations
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, SAME_COMMUNITY, Kind, Role
from vpnws.values import is_network_name

if TYPE_CHECKING:
    from collections.abc import Mapping

STATION_ROLES: Final = {"switch": SAME_COMMUNITY, "bridge": SAME_COMMUNITY, "router": ISOLATED}
"""A station's role by the server's mode, where the web server names none."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one station may do."""

    role: Role = SAME_COMMUNITY
    allow: tuple[IpNetwork, ...] | None = None
    """Networks it may send to; None is all."""
    may_bridge: bool = False
    """Whether more than its own MACs may be behind its port."""


def read_rights(variables: Mapping[str, str], mode: str) -> Rights:
    """Read the uwsgi vars `variables` for a server in `mode`.

    Raises RightsError with the variable, its value and what is allowed: a right that cannot be
    read is not guessed.
    """
    return Rights(
        _read_role(variables.get(ROLE), STATION_ROLES[mode]),
        _read_allow(variables.get(ALLOW)),
        _read_bridge(variables.get(BRIDGE, "")),
    )


def _read_role(text: str | None, default: Role) -> Role:
    if text is None:
        return default
    name = text.removeprefix("community:")
    if name != text and is_network_name(name):
        return Role(Kind.COMMUNITY, name)
    if text in ("isolated", "promiscuous"):
        return ISOLATED if text == "isolated" else PROMISCUOUS
    raise RightsError(f"{ROLE} = {text!r} is not isolated, promiscuous or community:NAME")


def _read_allow(text: str | None) -> tuple[IpNetwork, ...] | None:
    # Empty does not mean everywhere: a web server's map that matched nothing gives it.
    if text is None:
        return None
    try:
        return parse_destinations(text)
    except ValueError as error:
        raise RightsError(
            f"{ALLOW} = {text!r} is not a list of networks with commas between them, like"
            f" 10.1.0.0/16,fd00::/64: {error}"
        ) from error


def _read_bridge(text: str) -> bool:
    if text not in ("", "on", "off"):
        raise RightsError(f"{BRIDGE} = {text!r} is not on or off")
    return text == "on"
