"""Says what the switch would do with a frame now, and changes nothing: no count, entry or bucket.

It takes the steps of forwarding.py in their order, with the same tables and the same judges. Where
the process would learn, forget or count something on the way, this only looks. A model test holds
it to the switch: what it says of a frame is what happens to the frame that is sent next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.floods import Flood
from vpnws.switch.guard.claims import Verdict
from vpnws.switch.guard.length import length_refusal
from vpnws.wire.ethernet import RESERVED, is_station_address
from vpnws.wire.plain_train import read_frames
from vpnws.wire.records import NOTHING_TO_DO

if TYPE_CHECKING:
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.location import Location
    from vpnws.switch.networks import Network
    from vpnws.switch.port import AccessPort, Origin, Port
    from vpnws.wire.train import Train


class Step(IntEnum):
    """The steps of the forwarding process, with the numbers that they have in forwarding.py."""

    LENGTH = 1
    SOURCE = 2
    RESERVED = 3
    LEARN = 4
    CLASSIFY = 5
    STORM = 6
    EGRESS = 7
    QUEUE = 8


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen to a frame in one process."""

    step: Step
    """The last step that it reaches."""
    drop: Drop | None = None
    """Why it would be dropped there."""
    ports: tuple[Port, ...] = ()
    """The ports that would queue it."""
    full: tuple[Port, ...] = ()
    """Those of the ports it goes to whose queue would drop it."""
    found: Port | None = None
    """Where the FDB has the destination; None for a group, and if the frame would be flooded."""

    @property
    def is_flooded(self) -> bool:
        """Whether it gets so far that it would be copied to all ports."""
        return self.step >= Step.STORM and self.found is None


class Foresight:
    """What one process's switch would do."""

    def __init__(self, switch: Switch) -> None:
        """`switch` is looked at, and stays as it is."""
        self._switch = switch

    def of_frame(self, ingress: AccessPort, frame: bytes, now: float) -> Forecast:
        """Return what would happen to a plain `frame` that comes in at a station's or TAP's port.

        It has at least a header. `now` is in seconds.
        """
        destination, source = frame[:6], frame[6:12]
        refused = length_refusal(ingress.max_frame_bytes, NOTHING_TO_DO, frame, 0, len(frame))
        if refused is not None:
            return Forecast(Step.LENGTH, refused)
        if not is_station_address(source):
            return Forecast(Step.SOURCE, Drop.SOURCE)
        allowed = ingress.destinations
        if allowed is not None and not allowed.permits(frame):
            return Forecast(Step.SOURCE, allowed.refusal)
        if destination in RESERVED:
            return Forecast(Step.RESERVED, Drop.RESERVED)
        refused = self.of_source(ingress, source, now)
        if refused is not None:
            return Forecast(Step.LEARN, refused)
        return self._of_admitted(ingress.origin, ingress, frame, now)

    def of_trunk(self, origin: Origin, slot: int, frame: bytes, now: float) -> Forecast:
        """Return what would happen to `frame` if it came by the trunk from the process at `slot`.

        `origin` is where it came in there.
        """
        trunk = self._switch.trunks[slot]
        if origin.network not in self._switch.networks.by_name:
            return Forecast(Step.CLASSIFY, Drop.FILTERED)
        return self._of_admitted(origin, trunk, frame, now)

    def of_source(self, port: AccessPort, mac: bytes, now: float) -> Drop | None:
        """Return why `Fdb.learn` would refuse a frame from `mac` at `port`, or None."""
        network = self._switch.networks.of(port.origin)
        fdb, epoch = network.fdb, self._switch.shared.table.epoch()
        entry = fdb.known.entries.get(mac)
        is_here = entry is not None and entry.port is port and entry.epoch == epoch
        if entry is not None and is_here and now < entry.refresh_s:
            return None
        verdict = fdb.verdicts.find(port, mac, now)
        if verdict is not None:
            return verdict[0]
        local = fdb.known.look(port)
        if mac not in local.stations and local.is_full(now):
            return Drop.STATION_LIMIT
        there = self._switch.locate(network.name, mac)
        if there is not None and fdb.is_anothers(there, port):
            judged = local.judge(mac, there, now)
            if judged is not Verdict.TAKE:
                return Drop.MAC_TAKEN if judged is Verdict.REFUSE else Drop.MOVE_GUARD
        if mac in local.stations or fdb.known.has_room(local, now):
            return None
        return Drop.STATION_LIMIT

    def of_destination(
        self, network: Network, mac: bytes, ingress: Port, now: float
    ) -> Port | None:
        """Return the port that `Fdb.find` would find for `mac`, or None if it is unknown."""
        fdb, epoch = network.fdb, self._switch.shared.table.epoch()
        entry = fdb.known.entries.get(mac)
        is_true = entry is not None and entry.epoch == epoch
        if entry is not None and is_true and (entry.local is not None or now < entry.refresh_s):
            return entry.port
        if fdb.misses.has(mac, now):
            return None
        look_ups = ingress.look_ups
        if look_ups is not None and entry is None and look_ups.tokens(now) < 1:
            return None
        there = self._switch.locate(network.name, mac)
        return None if there is None else self._port_at(network, there)

    def _port_at(self, network: Network, there: Location) -> Port | None:
        if there.slot == self._switch.slot:
            return network.ports.get(there.port_id)
        return self._switch.trunks.get(there.slot)

    def _of_admitted(self, origin: Origin, ingress: Port, frame: bytes, now: float) -> Forecast:
        (train,) = read_frames([frame])
        destination = frame[:6]
        if destination[0] & 1:
            refused = self._switch.group_refusal(destination)
            if refused is not None:
                return Forecast(Step.CLASSIFY, refused)
            return self._of_flood(origin, ingress, train, now)
        network = self._switch.networks.of(origin)
        # A frame to its own source is learned before it is looked up.
        is_own = destination == frame[6:12]
        egress = ingress if is_own else self.of_destination(network, destination, ingress, now)
        if egress is None:
            return self._of_flood(origin, ingress, train, now)
        if not egress.accepts(origin.role, ingress):
            return Forecast(Step.EGRESS, Drop.FILTERED, found=egress)
        return self._of_queues(origin, (egress,), train, found=egress)

    def _of_flood(self, origin: Origin, ingress: Port, train: Train, now: float) -> Forecast:
        flooder = self._switch.flooder
        if not ingress.storm.would_pass(train, now):
            return Forecast(Step.STORM, Drop.STORM)
        flood = Flood(origin, ingress, train, now)
        if not flooder.would_take(flood):
            return Forecast(Step.STORM, Drop.FLOOD_QUEUE)
        return self._of_queues(origin, tuple(flooder.ports_for(flood)), train)

    def _of_queues(
        self, origin: Origin, ports: tuple[Port, ...], train: Train, found: Port | None = None
    ) -> Forecast:
        full = tuple(port for port in ports if _would_drop(port, origin, train))
        taking = tuple(port for port in ports if port not in full)
        drop = Drop.EGRESS_FULL if full and not taking else None
        return Forecast(Step.QUEUE, drop, taking, full, found)


def _would_drop(port: Port, origin: Origin, train: Train) -> bool:
    """Return whether a port's queue has no room. One that is backed up drops what waits longest."""
    if port.egress.backed_up:
        return False
    items, _size_bytes = port.format.write(train, origin.label)
    return all(map(port.egress.is_full, items))
