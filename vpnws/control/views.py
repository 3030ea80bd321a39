"""What can be seen of a server: frozen views, which its processes give and its API returns.

All times are Unix times in seconds, so that views of several processes can be compared. MACs are
text as in `02:00:00:00:00:0a`. A port's `id` is its process's number, from 1, and its own number:
`2.7`. It never comes again while the server runs.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

RECENT_S: Final = 10.0
"""What counts as recent in a view: drops, and how late a loop was."""
RETURN_S: Final = 60.0
"""A join of somebody who left this short a time ago is a return."""

PortKind: TypeAlias = Literal["station", "tap", "trunk"]
AddressSource: TypeAlias = Literal["arp", "nd", "dhcp"]
FdbKind: TypeAlias = Literal["learned", "own", "reserved", "pinned"]
FieldValue: TypeAlias = str | int | float
Severity: TypeAlias = Literal["error", "warning", "info"]
"""error: it does not work so. warning: it will fail for some, or later. info: good to know."""


class Who(Struct, frozen=True, kw_only=True):
    """Who the web server says a station is; empty where it says nothing."""

    user: str = ""
    dn: str = ""
    addr: str = ""


class Limits(Struct, frozen=True, kw_only=True):
    """What bounds one port; None where nothing does."""

    storm_packets_per_s: int | None = None
    stations: int | None = None
    egress_bytes: int | None = None


class Traffic(Struct, frozen=True, kw_only=True):
    """What has passed a port or a network since it exists; `rx` is what came in from there."""

    rx_frames: int = 0
    rx_bytes: int = 0
    tx_frames: int = 0
    tx_bytes: int = 0


class PortView(Struct, frozen=True, kw_only=True):
    """One port: a station's connection, a TAP of the server, or the trunk to another process."""

    id: str
    kind: PortKind
    process: str
    network: str = ""
    """Empty for a trunk, which carries all networks."""
    who: Who = Who()
    device: str = ""
    """The TAP's name, or the process that the trunk leads to."""
    macs: tuple[str, ...] = ()
    """At most MAX_MACS_SHOWN of them."""
    mac_count: int = 0
    announced_mac: str = ""
    role: str = ""
    """isolated, promiscuous or community:NAME."""
    allow: tuple[str, ...] | None = None
    """The destinations that the web server allows; None for all."""
    may_bridge: bool = False
    subprotocol: str = ""
    since_s: float = 0.0
    """When it came."""
    heard_s: float = 0.0
    """When something last came from there."""
    traffic: Traffic = Traffic()
    drops: dict[str, int] = {}
    """Frames by reason (see docs/topics/drops.md) since it came."""
    recent_drops: dict[str, int] = {}
    """The same for the last RECENT_S seconds."""
    marks: int = 0
    """Packets marked with ECN's CE instead of being dropped."""
    queued_bytes: int = 0
    limits: Limits = Limits()
    is_blocked: bool = False
    block_reason: str = ""


class FdbView(Struct, frozen=True, kw_only=True):
    """Where one MAC of one network is."""

    network: str
    mac: str
    kind: FdbKind
    port: str = ""
    """Empty if the MAC is only reserved."""
    process: str = ""
    who: Who = Who()
    heard_s: float = 0.0
    """When a frame from the MAC last came; 0 if the MAC is only reserved."""
    until_s: float = 0.0
    """When a reserved MAC is free again; 0 for all others."""


class AddressView(Struct, frozen=True, kw_only=True):
    """An IP address that a station was heard to have, by ARP, ND or DHCP."""

    network: str
    ip: str
    mac: str
    port: str
    who: Who = Who()
    source: AddressSource
    """How it was heard last."""
    vlans: tuple[int, ...] = ()
    """The 802.1Q tags of the frame that told it, the outer one first."""
    heard_s: float
    until_s: float = 0.0
    """When it is forgotten if nothing more is heard: for DHCP, when the lease ends."""
    is_leased: bool = False
    """Whether the port leases it from a pool of the server."""


class NetworkView(Struct, frozen=True, kw_only=True):
    """One network over all processes."""

    name: str
    stations: int = 0
    """Ports of stations."""
    taps: tuple[str, ...] = ()
    macs: int = 0
    macs_limit: int = 0
    macs_refused: int = 0
    """How often a MAC was not learned because a table was full."""
    macs_moved: int = 0
    macs_evicted: int = 0
    traffic: Traffic = Traffic()
    """Of all ports that it has and had, without trunks."""
    drops: dict[str, int] = {}
    recent_drops: dict[str, int] = {}
    marks: int = 0
    """Packets marked with ECN's CE instead of being dropped."""
    queue_delays: tuple[int, ...] = ()
    """Frames that waited in queues, by bucket of their wait: up to each of DELAY_BOUNDS_S, and
    longer."""
    queue_delay_s: float = 0.0
    """How long they waited, together."""


class TrunkView(Struct, frozen=True, kw_only=True):
    """What passed between one process and all others; in the terms of a port."""

    traffic: Traffic = Traffic()
    drops: dict[str, int] = {}


class DropView(Struct, frozen=True, kw_only=True):
    """Frames that one port drops for one reason, in words."""

    network: str
    port: str
    process: str
    kind: PortKind
    who: Who = Who()
    reason: str
    frames: int
    recent_frames: int
    """Within the last RECENT_S seconds."""
    why: str
    """What the reason means."""
    remedy: str
    """What to do about it."""


class ProcessView(Struct, frozen=True, kw_only=True):
    """One process of the server."""

    name: str
    """worker N, or mule."""
    pid: int
    since_s: float
    ports: int = 0
    loop_lag_s: float = 0.0
    """The longest that its loop has been late within the last RECENT_S seconds."""
    beats: int = 0
    egress_bytes: int = 0
    """What waits in the queues of its ports."""
    trunk_bytes: int = 0
    """What waits on its trunks."""
    joins: int = 0
    returns: int = 0
    """Joins of somebody who had been here within the last RETURN_S seconds."""
    leaves: int = 0
    refusals: dict[str, int] = {}
    """Requests that did not become a port, by status."""
    restarts: int = 0
    """How often the process had to be started anew."""
    kills: int = 0
    """How often the watchdog killed it because it hung."""
    log_lines_dropped: int = 0
    """Lines of the log that nobody read."""
    events: dict[str, int] = {}
    """How often each event has happened, by its name."""
    events_lost: int = 0
    """Events that the process keeps no more, and the API cannot show."""


class EventView(Struct, frozen=True, kw_only=True):
    """Something that has happened (see docs/events.md)."""

    seq: int
    """Counts the events of its process."""
    process: str
    time_s: float
    name: str
    level: str
    """info, warning or error."""
    text: str
    """The line of the log."""
    fields: dict[str, FieldValue] = {}


class BanView(Struct, frozen=True, kw_only=True):
    """Somebody who may not join for a time."""

    id: str
    user: str = ""
    dn: str = ""
    addr: str = ""
    network: str = ""
    """Empty for all networks."""
    reason: str = ""
    until_s: float
    by: str = ""
    """Who said so, as far as the web server knows."""


class LimitsView(Struct, frozen=True, kw_only=True):
    """Limits for one identity, which its ports get when they come."""

    id: str
    user: str = ""
    dn: str = ""
    network: str = ""
    limits: Limits


class PinView(Struct, frozen=True, kw_only=True):
    """A MAC that belongs to one identity until it is unpinned."""

    id: str
    network: str
    mac: str
    user: str = ""
    dn: str = ""
    by: str = ""
    """Who said so, as far as the web server knows."""


class FindingView(Struct, frozen=True, kw_only=True):
    """Something about the host of the server that is known to break such networks."""

    name: str
    """One word for what was looked at; docs/trouble.md has them all."""
    severity: Severity
    sentence: str
    """What was seen, and what comes of it."""
    remedy: str
    """A command to copy, or what to change."""


class StatusView(Struct, frozen=True, kw_only=True):
    """The server in a few lines."""

    version: str
    mode: str
    now_s: float
    since_s: float
    ports: int
    networks: int
    macs: int
    processes: tuple[ProcessView, ...]
    missing: tuple[str, ...] = ()
    """Processes that did not answer in time: what they have is missing here."""


class StateView(Struct, frozen=True, kw_only=True):
    """How the server is now: what the live stream tells each second."""

    status: StatusView
    networks: tuple[NetworkView, ...]
    ports: tuple[PortView, ...]
    truncated: bool
    """Whether there are more ports, or networks, than these."""
