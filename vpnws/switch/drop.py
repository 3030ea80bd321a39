"""Why a frame goes no further."""

from __future__ import annotations

from enum import StrEnum


class Drop(StrEnum):
    """Why a frame was not delivered; those from egress_full on are counted at egress."""

    LENGTH = "length"
    OFFLOAD = "offload"
    SOURCE = "source"
    RESERVED = "reserved"
    NOT_ALLOWED = "not_allowed"
    STATION_LIMIT = "station_limit"
    MAC_TAKEN = "mac_taken"
    MOVE_GUARD = "move_guard"
    STORM = "storm"
    NO_BROADCAST = "no_broadcast"
    NO_MULTICAST = "no_multicast"
    FILTERED = "filtered"
    EGRESS_FULL = "egress_full"
    CODEL = "standing_queue"
    DEVICE = "device"
