"""The one table of all events: what each is called, how serious it is, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["info", "warning", "error"]


class Event(StrEnum):
    """The names of all events."""

    JOIN = "join"
    LEAVE = "leave"
    LOST = "lost"
    REFUSED = "refused"
    BRIDGE_REFUSED = "bridge_refused"
    DROPS = "drops"
    MOVE = "move"
    CLAIM = "claim"
    LEARN = "learn"
    ADDRESS = "address"
    ADDRESS_MOVED = "address_moved"
    FOLDED = "folded"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    BLOCK = "block"
    UNBLOCK = "unblock"
    LIMITS = "limits"
    FLUSH = "flush"
    PIN = "pin"
    UNPIN = "unpin"
    CAPTURE = "capture"
    NO_ADDRESS = "no_address"
    CLIENT_VAR = "client_var"
    RELEASE = "release"
    UPLINK_UP = "uplink_up"
    UPLINK_DOWN = "uplink_down"
    UPLINK_CHANGED = "uplink_changed"
    PROCESS_UP = "process_up"
    PROCESS_HUNG = "process_hung"
    HOOK_FAILED = "hook_failed"
    DOCTOR = "doctor"


FIELDS: Final[dict[str, str]] = {
    "port": "The port: its process's number, from 1, and its own number.",
    "network": "The network.",
    "user": "The station's user, as the web server names it.",
    "dn": "The subject of the station's certificate.",
    "addr": "The address that the station's connection comes from.",
    "mac": "A MAC: the one that the event is about, or one that the station has.",
    "ip": "An IP address.",
    "device": "The TAP's name in `vpnws-tap`.",
    "peer": "The other process: `worker 2`, `mule`.",
    "pid": "The number that the operating system gave the process.",
    "rights": "What the station may do: its role, and what is granted or refused besides.",
    "subprotocol": "The subprotocol that the connection speaks; absent for plain frames.",
    "status": "The HTTP status.",
    "reason": "Why; for drops the reason as in [the table of drops](topics/drops.md).",
    "why": "What the reason means, and what to do about it.",
    "remedy": "What to do about it.",
    "count": "How many: frames, requests, MACs or lines, as the event says.",
    "seconds": "How long it was, or will be.",
    "rx_frames": "Frames that came from the station.",
    "rx_bytes": "Their bytes.",
    "tx_frames": "Frames that went to the station.",
    "tx_bytes": "Their bytes.",
    "dropped": "Frames that were dropped at the port, for all reasons.",
    "drops": "The same by reason: `storm_limit=12 oversized=1`.",
    "rival": "The port that wants the MAC too.",
    "from_port": "The port that had the MAC or the address before.",
    "from_mac": "The MAC that had the address before.",
    "events": "The names of the events that are folded.",
    "source": "How an address was heard: `arp`, `nd` or `dhcp`.",
    "offload": "Whether super-frames cross the TAP: `on` or `off`.",
    "state": "The state of a process, as one letter (proc_pid_stat(5)).",
    "limits": "The new limits.",
    "hook": "The setting or the URL that failed.",
    "check": "What was looked at.",
    "lost": "Copies of frames that a capture has lost.",
    "by": "Who asked for it, as far as the web server knows.",
}
"""Every field that an event can have, and what it means. A field that is empty is left out."""
SENTENCES: Final = frozenset(("reason", "why", "remedy", "drops", "limits"))
"""The fields that may be as long as a sentence. Other texts are as long as one value of a line."""

_WHO: Final = ("user", "dn", "addr")
_STATION: Final = ("port", "network", *_WHO, "mac")


@dataclass(frozen=True, slots=True)
class EventKind:
    """One row of the table."""

    level: Level
    sentence: str
    """What has happened, for the documentation."""
    fields: tuple[str, ...]
    """What it may tell, by their names in FIELDS."""
    is_logged: bool = True
    """Whether it is a line of the log. One that is not would flood it: it is only in the API."""


EVENTS: Final[dict[Event, EventKind]] = {
    Event.JOIN: EventKind(
        "info", "A station has joined: it has a port now.", (*_STATION, "rights", "subprotocol")
    ),
    Event.LEAVE: EventKind(
        "info",
        "A station's connection has ended: why, after how long, what passed and what was dropped.",
        (
            *_STATION,
            *("reason", "seconds", "rx_frames", "rx_bytes", "tx_frames", "tx_bytes"),
            *("dropped", "drops"),
        ),
    ),
    Event.LOST: EventKind(
        "warning",
        "A station was let in, but its connection or the last place was gone before it had a port.",
        ("network", *_WHO, "reason"),
    ),
    Event.REFUSED: EventKind(
        "warning",
        "Requests were refused. The first of a kind is told at once; the count of those that follow"
        " is told once a minute.",
        (*_WHO, "status", "reason", "count"),
    ),
    Event.BRIDGE_REFUSED: EventKind(
        "warning", "A station asked to bridge, and the web server does not grant it.", _STATION
    ),
    Event.DROPS: EventKind(
        "warning",
        "A port drops frames: the first at once, then their count once a minute.",
        (*_STATION, "peer", "reason", "count", "why"),
    ),
    Event.MOVE: EventKind("info", "A MAC has moved to this port.", (*_STATION, "from_port")),
    Event.CLAIM: EventKind(
        "warning",
        "Another port sends from a MAC that this port has; this one keeps it.",
        (*_STATION, "rival"),
    ),
    Event.LEARN: EventKind(
        "info",
        "A MAC was first seen on this port. If it was on another before, that is a `move`.",
        _STATION,
        is_logged=False,
    ),
    Event.ADDRESS: EventKind(
        "info",
        "A station was first heard to have an IP address.",
        (*_STATION, "ip", "source"),
        is_logged=False,
    ),
    Event.ADDRESS_MOVED: EventKind(
        "warning",
        "Another MAC or another port has an IP address now. If it comes back, two hosts want the"
        " same one. Of one address it is told once a minute at most.",
        (*_STATION, "ip", "source", "from_port", "from_mac"),
    ),
    Event.FOLDED: EventKind(
        "warning",
        "One name and address did more within a minute than is told one by one; this is the rest.",
        (*_WHO, "events", "count", "seconds"),
    ),
    Event.KICK: EventKind(
        "info", "An operator ended a station's connection.", (*_STATION, "reason", "by")
    ),
    Event.BAN: EventKind(
        "info",
        "An operator banned an identity or an address.",
        (*_WHO, "network", "seconds", "reason", "by"),
    ),
    Event.UNBAN: EventKind(
        "info", "A ban has ended, or an operator ended it.", (*_WHO, "network", "by")
    ),
    Event.BLOCK: EventKind("info", "An operator blocked a port.", (*_STATION, "reason", "by")),
    Event.UNBLOCK: EventKind("info", "An operator unblocked a port.", (*_STATION, "by")),
    Event.LIMITS: EventKind(
        "info",
        "An operator changed the limits of a port or an identity.",
        (*_STATION, "limits", "by"),
    ),
    Event.FLUSH: EventKind(
        "info",
        "An operator had MACs forgotten.",
        ("network", "mac", "port", "count", "by"),
    ),
    Event.PIN: EventKind(
        "info", "An operator gave a MAC to an identity.", ("network", "mac", "user", "dn", "by")
    ),
    Event.UNPIN: EventKind(
        "info", "An operator ended that.", ("network", "mac", "user", "dn", "by")
    ),
    Event.CAPTURE: EventKind(
        "info",
        "An operator began to capture frames, or such a capture has ended.",
        ("port", "network", "mac", "seconds", "count", "lost", "reason", "by"),
    ),
    Event.NO_ADDRESS: EventKind(
        "warning",
        "Stations got no address. Each reason is told at once, and then once in ten minutes with"
        " its count.",
        ("reason", "count"),
    ),
    Event.CLIENT_VAR: EventKind(
        "warning",
        "The web server wants stations to be told something (`VPNWS_CLIENT_...`) that cannot be"
        " used, so it is left out. Each is told at once, and then once in ten minutes with its"
        " count.",
        ("reason", "count"),
    ),
    Event.RELEASE: EventKind(
        "info", "An operator freed a leased address.", ("network", "ip", "by")
    ),
    Event.UPLINK_UP: EventKind(
        "info",
        "A TAP of the server is joined to the switch, or was set up again.",
        ("device", "network", "offload"),
    ),
    Event.UPLINK_DOWN: EventKind(
        "warning",
        "A TAP of the server cannot be used, or was set down.",
        ("device", "network", "reason"),
    ),
    Event.UPLINK_CHANGED: EventKind(
        "warning",
        "A TAP of the server has another name, another MAC or another network namespace now.",
        ("device", "network", "mac", "reason"),
    ),
    Event.PROCESS_UP: EventKind(
        "info",
        "A worker or the mule serves; `count` is how many MACs it forgot of the process that was"
        " there before.",
        ("pid", "count"),
    ),
    Event.PROCESS_HUNG: EventKind(
        "error",
        "A process did nothing for `vpnws-hang-after`, so the watchdog kills it; `count` is how"
        " many were killed so far. Over the API, the process that comes after it tells of this.",
        ("peer", "pid", "seconds", "state", "count"),
    ),
    Event.HOOK_FAILED: EventKind(
        "warning", "A hook or a webhook failed.", ("hook", "reason", "count")
    ),
    Event.DOCTOR: EventKind(
        "warning",
        "Something on this machine is known to break such networks.",
        ("check", "device", "reason", "remedy"),
    ),
}
"""Every event. A process notes them in its journal, and nothing else does."""
