"""What a trace shows: the way of a frame from A to B, step by step, and what decides it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from vpnws.control.views import Who

EndKind: TypeAlias = Literal["station", "tap", "group", "gone", "unknown"]
"""A port of a station or of a TAP, a group address, a station that has left, or nobody."""
StepState: TypeAlias = Literal["passed", "decides", "not reached"]
Outcome: TypeAlias = Literal["delivered", "flooded", "dropped", "elsewhere", "unknown"]
"""delivered: it is queued for the other end. flooded: every port of the network gets it, the other
end's too. dropped: for a reason of docs/topics/drops.md. elsewhere: it goes to others, and not to
the other end. unknown: there is nobody to send it, or a process has not answered."""


class EndView(Struct, frozen=True, kw_only=True):
    """One end of a trace: what was asked for, and what that is."""

    asked: str
    """A MAC, a port's id, a user, an IP address or a TAP, as it was asked for."""
    kind: EndKind
    text: str
    """Who and where that is, in one sentence."""
    port: str = ""
    process: str = ""
    network: str = ""
    mac: str = ""
    who: Who = Who()
    role: str = ""
    others: tuple[str, ...] = ()
    """Further ports that the same words name; their ids, at most MAX_OTHERS."""
    near: tuple[str, ...] = ()
    """If nobody has that name: names that look like it, at most MAX_NEAR."""


class StepView(Struct, frozen=True, kw_only=True):
    """One step of the forwarding process (docs/design.md, "The way of a frame")."""

    number: int
    name: str
    process: str
    """Where it is taken. A frame to another process takes steps 5, 7 and 8 there again."""
    state: StepState
    text: str = ""
    """What the step finds; empty if the frame does not get that far."""
    recent_drops: int = 0
    """Frames of this port that the step has dropped within the last RECENT_S seconds."""


class PathView(Struct, frozen=True, kw_only=True):
    """What would happen to one frame, one way."""

    outcome: Outcome
    text: str
    """What happens and why, in one sentence."""
    remedy: str = ""
    """What to do about it; empty if nothing needs to be done."""
    steps: tuple[StepView, ...] = ()
    decided_by: int = 0
    """The number of the step that decides; 0 if there is none."""
    reason: str = ""
    """The reason for a drop (docs/topics/drops.md)."""
    ports: tuple[str, ...] = ()
    """The ids of the ports that get the frame, at most MAX_PORTS_SHOWN."""
    port_count: int = 0
    warnings: tuple[str, ...] = ()
    """What does not stop this frame, and loses others: recent drops, a full queue."""


class TraceView(Struct, frozen=True, kw_only=True):
    """What would happen to a frame from A to B, and to an answer."""

    ether: str
    """arp, ipv4, ipv6, nd, or an EtherType such as 0x88cc."""
    size_bytes: int
    text: str
    """The verdict in one sentence: may A and B talk, and if not, why."""
    remedy: str = ""
    hint: str = ""
    """Where to look next, if the switch delivers both ways."""
    source: EndView
    destination: EndView
    there: PathView
    back: PathView
    missing: tuple[str, ...] = ()
    """Processes that did not answer in time: what they know is missing here."""
