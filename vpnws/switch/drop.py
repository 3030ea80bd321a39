"""The reasons for which the switch drops a frame."""

from __future__ import annotations

from enum import StrEnum


class Drop(StrEnum):
    """Why a frame was not delivered.

    It is counted at the port where it came in (ingress) or would have left (egress).
    """

    LENGTH = "length"
    """Ingress: the frame is shorter than a header or longer than `vpnws-max-frame`; on `stream` a
    longer message ends the port instead."""
    OFFLOAD = "offload"
    """Ingress: the record's header is not true of its frame. No kernel makes such a record: the
    client is faulty or hostile."""
    SOURCE = "source"
    """Ingress: the source is a group address or zero."""
    RESERVED = "reserved"
    """Ingress: the destination is one of 01-80-C2-00-00-0X."""
    NOT_ALLOWED = "not_allowed"
    """Ingress: the station's `VPNWS_ALLOW` does not let it send there."""
    BLOCKED = "blocked"
    """Ingress: the operator has blocked the port where the frame came in."""
    STATION_LIMIT = "station_limit"
    """Ingress: the port has as many MACs as `vpnws-station-limit`, `vpnws-bridge-limit` or
    `vpnws-uplink-limit` allows, and none of them is idle and could be replaced."""
    MAC_TAKEN = "mac_taken"
    """Ingress: the MAC belongs to another name, to the server itself, or to a newer station of the
    same name."""
    MOVE_GUARD = "move_guard"
    """Ingress: another port has the MAC and still sends from it. If it falls silent, the MAC moves
    after a second."""
    STORM = "storm"
    """Ingress: the port flooded more than `vpnws-storm-limit` allows."""
    FLOOD_QUEUE = "flood_queue"
    """Ingress: more is flooded in this process than it can copy to all ports, and too much of that
    source waits already."""
    NO_BROADCAST = "no_broadcast"
    """Ingress: `vpnws-no-broadcast` is on."""
    NO_MULTICAST = "no_multicast"
    """Ingress: `vpnws-no-multicast` is on."""
    FILTERED = "filtered"
    """Ingress: the destination is where the frame came from, the roles forbid it, or this process
    has no port in the frame's network."""
    EGRESS_FULL = "egress_full"
    """Egress: the queue has reached `vpnws-egress-limit` or, to another process,
    `vpnws-trunk-limit`. More is sent to the station than its path or its machine can take; TCP
    adapts to that."""
    CODEL = "standing_queue"
    """Egress: the frame's flow has had a standing queue for too long (CoDel). The cause is the
    same as for `egress_full`, noticed early."""
    DEVICE = "device"
    """Egress: the kernel refused the frame, for example because the TAP is down."""
