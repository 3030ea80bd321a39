"""What each process knows for a trace: who the two ends are, and what it would do with a frame."""

from __future__ import annotations

from msgspec import Struct

from vpnws.control.views import PortKind, PortView, Who


class PortFacts(Struct, frozen=True, kw_only=True):
    """A port that may be one end of a trace."""

    view: PortView
    label: bytes
    """Its network and role, as trunks carry them."""
    own_macs: tuple[str, ...] = ()
    """Of a TAP: the server's own MACs there."""
    hears_floods: bool = True
    """Whether what is flooded goes there."""
    max_frame_bytes: int
    storm_tokens: float | None = None
    """How many frames it may flood at once now; None is no limit."""
    is_backed_up: bool = False
    """Whether its socket is full, so that frames wait in the queue."""
    mac: str = ""
    """The MAC there that has the IP address which was asked for."""
    ips: tuple[str, ...] = ()
    """IP addresses that were heard there, at most MAX_IPS."""


class GoneFacts(Struct, frozen=True, kw_only=True):
    """A port that has gone."""

    port: str
    kind: PortKind
    process: str
    network: str
    who: Who = Who()
    device: str = ""
    macs: tuple[str, ...] = ()
    heard_s: float
    """When something last came from there, and when it went, in Unix time."""
    left_s: float
    reason: str


class EndFacts(Struct, frozen=True, kw_only=True):
    """What one process knows of one end."""

    ports: tuple[PortFacts, ...] = ()
    gone: tuple[GoneFacts, ...] = ()
    near: tuple[str, ...] = ()
    """Names that look like the one that was asked for."""


class EndsFacts(Struct, frozen=True, kw_only=True):
    """What one process knows of both ends."""

    source: EndFacts
    destination: EndFacts
    now_s: float


class PlaceFacts(Struct, frozen=True, kw_only=True):
    """Where the table that all processes share has a MAC."""

    port: str
    """Empty if the MAC is only reserved, for its owner who is away."""
    whose: str
    """own (the server's), name (of a user or DN), nobody."""
    is_same_name: bool
    """Whether it belongs to the name of the station that sends."""
    is_pinned: bool = False
    """Whether the operator has pinned it to that name."""
    rival: str = ""
    """The port that wants it too, and waits for the holder's answer."""
    left_s: float = 0.0
    """For how long a reserved one stays so; 0 is for good."""


class WayFacts(Struct, frozen=True, kw_only=True):
    """What one process would do with one frame."""

    slot: int
    step: int
    """The last step that the frame reaches here."""
    drop: str = ""
    is_flooded: bool = False
    found: str = ""
    """The port that has the destination; `t2` for the trunk to process 2, empty if unknown."""
    ports: tuple[str, ...] = ()
    """Ports that would queue it, at most MAX_PORTS_SHOWN; `t2` is a trunk."""
    port_count: int = 0
    """How many ports of stations and TAPs would queue it."""
    full: tuple[str, ...] = ()
    """Those of the ports it would go to that have no room, at most MAX_PORTS_SHOWN."""
    reaches: bool = False
    """Whether the other end, which is here, would get it."""
    is_full_there: bool = False
    """Whether the other end, which is here, has no room for it."""
    roles_agree: bool = True
    """Whether the other end, which is here, may talk with the one that sends."""
    has_network: bool = True
    source_at: PlaceFacts | None = None
    """Where the table has the source; only from the process where the frame comes in."""
    is_learned: bool = False
    """Whether the source is learned on the port where the frame comes in."""
    holder: PortView | None = None
    """The port of this process that has the source's MAC, if another one sends from it."""
    trunk_bytes: dict[str, int] = {}
    """What waits on the trunks, by their names as in `found`."""
