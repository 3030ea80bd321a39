"""What an FDB keeps: of a MAC, and of a port that has some."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort, Port


@dataclass(slots=True, eq=False)
class Home:
    """What the FDB keeps of one port of this process."""

    port: AccessPort
    stations: set[bytes] = field(default_factory=set)
    """MACs learned there."""
    full_until_s: float = -inf
    """Until then no MAC of a full port has been quiet long enough to give way."""


@dataclass(slots=True, eq=False)
class Entry:
    """What this process knows of one MAC."""

    port: Port
    home: Home | None
    """What the FDB keeps of the port, when it is one of this process; None for a trunk."""
    seen_s: float
    """When a frame from it last came in here; for a MAC elsewhere, when it was looked up."""
    refresh_s: float
    """When the shared entry must be written again (here), or read again (elsewhere)."""
    epoch: bytes
