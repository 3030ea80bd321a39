"""Ports: what is attached to the switch, with its role, its counters and its egress queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpnws.switch.guard.moves import ANONYMOUS

if TYPE_CHECKING:
    from vpnws.switch.format import Format
    from vpnws.switch.guard.destinations import AllowedDestinations
    from vpnws.switch.guard.roles import Role
    from vpnws.switch.guard.storm import StormControl
    from vpnws.switch.network import Network
    from vpnws.switch.queue.queue import EgressQueue


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the forwarding process must know of where a frame came in; it crosses trunks."""

    network: Network
    role: Role
    label: bytes
    """Network and role as the trunk record writes them, made once per port."""


class Port:
    """Anything attached to the switch."""

    __slots__ = (
        "drops",
        "egress",
        "format",
        "id",
        "max_frame_bytes",
        "queued_bytes",
        "queued_frames",
        "rx_bytes",
        "rx_frames",
    )

    is_trunk = False

    def __init__(
        self, port_id: int, format_: Format, egress: EgressQueue, max_frame_bytes: int
    ) -> None:
        """`port_id` is unique in the process; `max_frame_bytes` bounds a packet either way.

        A record may be longer, if no packet is that comes of it.
        """
        self.id = port_id
        self.format = format_
        egress.layout = format_.layout
        self.egress = egress
        self.max_frame_bytes = max_frame_bytes
        self.rx_frames = 0
        self.rx_bytes = 0
        self.queued_frames = 0
        self.queued_bytes = 0
        self.drops = egress.drops

    @property
    def tx_frames(self) -> int:
        """Frames queued and not dropped since."""
        return self.queued_frames - self.egress.discarded_frames

    @property
    def tx_bytes(self) -> int:
        """Their bytes."""
        return self.queued_bytes - self.egress.discarded_bytes


class AccessPort(Port):
    """A port in one network: a station's link, or the uplink."""

    __slots__ = ("claim", "full_until_s", "origin", "policy", "station_limit", "stations", "storm")

    def __init__(
        self,
        port_id: int,
        format_: Format,
        egress: EgressQueue,
        max_frame_bytes: int,
        *,
        origin: Origin,
        storm: StormControl,
        station_limit: int = 1,
        claim: bytes = ANONYMOUS,
        policy: AllowedDestinations | None = None,
    ) -> None:
        """`station_limit` bounds the MACs learned here; `claim` says whose they are (see guard).

        `policy` bounds where its stations may send to; None is anywhere.
        """
        super().__init__(port_id, format_, egress, max_frame_bytes)
        self.origin = origin
        self.storm = storm
        self.station_limit = station_limit
        self.claim = claim
        self.policy = policy
        self.full_until_s = 0.0
        """Until then no MAC of a full port has been quiet long enough to be replaced."""
        self.stations: set[bytes] = set()
        """MACs learned here; the FDB keeps it."""


class Trunk(Port):
    """A port that leads to the switch of another process."""

    __slots__ = ("slot",)

    is_trunk = True

    def __init__(
        self, slot: int, format_: Format, egress: EgressQueue, max_frame_bytes: int
    ) -> None:
        """`slot` is the other process's place on the bus."""
        super().__init__(slot, format_, egress, max_frame_bytes)
        self.slot = slot
