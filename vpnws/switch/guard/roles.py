"""Private VLAN roles (RFC 5517): which ports of a network may exchange frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a port may talk to."""

    ISOLATED = 0
    """Promiscuous ports only."""
    COMMUNITY = 1
    """Ports of its own community, and promiscuous ports."""
    PROMISCUOUS = 2
    """Every port."""
    BLOCKED = 3
    """No port: the operator has blocked it."""


@dataclass(frozen=True, slots=True)
class Role:
    """A port's part in its network: a kind and, for a community port, the community's name."""

    kind: Kind
    community: str = ""


SAME_COMMUNITY = Role(Kind.COMMUNITY)
"""Every station of a plain switch: they all reach each other."""
ISOLATED = Role(Kind.ISOLATED)
PROMISCUOUS = Role(Kind.PROMISCUOUS)


def may_talk(a: Role, b: Role) -> bool:
    """Return whether ports with these roles may exchange frames; the order does not matter."""
    if a is b:
        return a.kind is not Kind.ISOLATED
    if Kind.BLOCKED in (a.kind, b.kind):
        return False
    if Kind.PROMISCUOUS in (a.kind, b.kind):
        return True
    return a.kind is Kind.COMMUNITY and a == b
