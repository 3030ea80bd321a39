"""Ports: what is attached to the switch, with its role, its counters and its egress queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from vpnws.switch.guard.claims import ANONYMOUS
from vpnws.switch.guard.roles import Role, may_talk
from vpnws.switch.guard.storm import UNLIMITED, StormControl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.switch.drop import Drop
    from vpnws.switch.format import Format
    from vpnws.switch.guard.bucket import TokenBucket
    from vpnws.switch.guard.destinations import Destinations
    from vpnws.switch.location import Location
    from vpnws.switch.queue.queue import EgressQueue
    from vpnws.switch.witness import Witness
    from vpnws.wire.train import Train


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a frame came in: all that the forwarding process must know of it, on any process."""

    network: str
    role: Role
    label: bytes
    """Network and role, encoded for a trunk's items once for each port."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why a port is blocked, and what it may do when it is not (see guard/blocking)."""

    reason: str
    origin: Origin
    destinations: Destinations | None


class Outlet(Protocol):
    """Writes what a port has queued."""

    def flush(self, now: float) -> None:
        """Write as much as possible without waiting; `now` is in seconds."""


class NoOutlet:
    """The outlet of a port that is not joined to anything yet: its queue waits."""

    def flush(self, _now: float) -> None:
        """Leave everything in the queue."""


NO_OUTLET: Final = NoOutlet()


class Port:
    """Anything attached to the switch."""

    __slots__ = (
        "drops",
        "egress",
        "format",
        "id",
        "look_ups",
        "max_frame_bytes",
        "outlet",
        "rx_bytes",
        "rx_frames",
        "storm",
        "witness",
    )

    def __init__(
        self,
        port_id: int,
        format_: Format,
        egress: EgressQueue,
        max_frame_bytes: int,
        storm: StormControl = UNLIMITED,
    ) -> None:
        """`port_id` is unique in the process. `max_frame_bytes` bounds packets in both directions.

        A record may be longer, if none of its packets is. `storm` bounds what is flooded.
        """
        self.id = port_id
        self.format = format_
        egress.format = format_
        self.egress = egress
        self.max_frame_bytes = max_frame_bytes
        self.outlet: Outlet = NO_OUTLET
        self.storm = storm
        self.look_ups: TokenBucket | None = None
        """Bounds how often frames that come in here may ask the shared FDB; None is no bound."""
        self.rx_frames = 0
        self.rx_bytes = 0
        self.drops = egress.drops
        self.witness: Witness | None = None
        """Who sees its frames (see `see_with`)."""

    @property
    def tx_frames(self) -> int:
        """Frames that were queued and not dropped later."""
        return self.egress.counts.offered_frames - self.egress.counts.discarded_frames

    @property
    def tx_bytes(self) -> int:
        """Their bytes."""
        return self.egress.counts.offered_bytes - self.egress.counts.discarded_bytes

    def see_with(self, witness: Witness | None) -> None:
        """Have `witness` see its frames from now on, in both directions; None for nobody."""
        self.witness = self.egress.witness = witness

    def drop(self, trains: Iterable[Train], frames: int, reason: Drop, now: float) -> None:
        """Count `trains`, which came in here, as dropped: they have `frames` frames in all.

        Only a witness looks at the trains.
        """
        self.drops[reason] += frames
        if self.witness is not None:
            for train in trains:
                self.witness.came(train, now, reason)

    def accepts(self, role: Role, ingress: Port) -> bool:
        """Return whether a frame that came in at `ingress` may go out here.

        `role` is that of the port where it first came in, which may be at another process.
        """
        raise NotImplementedError


class Rival(NamedTuple):
    """A port that wanted a MAC which another one keeps."""

    mac: bytes
    slot: int
    port_id: int


class AccessPort(Port):
    """A port in one network: a station's link, or the uplink."""

    __slots__ = (
        "block",
        "claim",
        "destinations",
        "hears_floods",
        "origin",
        "own",
        "refused",
        "rival",
        "station_limit",
    )

    def __init__(
        self,
        port_id: int,
        format_: Format,
        egress: EgressQueue,
        max_frame_bytes: int,
        *,
        origin: Origin,
        storm: StormControl = UNLIMITED,
        station_limit: int = 1,
        claim: bytes = ANONYMOUS,
        own: frozenset[bytes] | None = None,
        destinations: Destinations | None = None,
        hears_floods: bool = True,
    ) -> None:
        """`station_limit` bounds the MACs learned here; `claim` says whose they are (guard/claims).

        With hosts behind the port, `own` are the MACs that the claim is on; the hosts' belong to
        nobody. `destinations` are where its stations may send to; None means anywhere. Without
        `hears_floods`, what is flooded does not go here before the first frame came from here.
        """
        super().__init__(port_id, format_, egress, max_frame_bytes, storm)
        self.origin = origin
        self.station_limit = station_limit
        self.claim = claim
        self.own = own
        self.destinations = destinations
        self.hears_floods = hears_floods
        self.block: Block | None = None
        """Set while the operator blocks the port."""
        self.refused: dict[Drop, bytes] = {}
        """The source of the last frame that was refused here, by reason."""
        self.rival: Rival | None = None
        """The last port that challenged this one and was answered; whoever reports it clears it."""

    def claim_on(self, mac: bytes, there: Location | None = None) -> bytes:
        """Return whose `mac` is if it is learned here; `there` is its shared entry, if any.

        What is pinned for a name stays that name's, also as a host behind its bridging station.
        """
        if there is not None and there.is_pinned and there.claim == self.claim:
            return self.claim
        return self.claim if self.own is None or mac in self.own else ANONYMOUS

    def accepts(self, role: Role, ingress: Port) -> bool:
        """Return whether the isolation roles allow it (RFC 5517)."""
        return ingress is not self and may_talk(role, self.origin.role)


class Trunk(Port):
    """A port that leads to the switch of another process; its id is that process's slot."""

    __slots__ = ()

    def accepts(self, _role: Role, ingress: Port) -> bool:
        """Return whether `ingress` is not a trunk: every process has a trunk to every other."""
        return not isinstance(ingress, Trunk)
