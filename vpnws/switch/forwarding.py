"""The forwarding process (IEEE 802.1Q 8.6): frames come in at a port and are queued at others.

One `Switch` serves one process; trunks join the switches of all processes into one. Frames travel
in trains (see wire/train): what came in together and goes the same way is looked at once. Every
train takes these steps, in this order, and the comments in the code bear the same numbers.

1. Length: at least a header, at most the ingress port's longest frame. A record's virtio header
   must also be true of its frame (see wire/offload).
2. Source: a station's own address, neither a group's nor zero; and only to the destinations that
   the station is allowed.
3. Reserved group addresses 01-80-C2-00-00-0X are never forwarded (8.6.3).
4. Learn the source, within the port's station limit and the move guard.
5. Classify by destination: known unicast, unknown unicast, multicast, broadcast. The last two may
   be forbidden altogether.
6. Storm control, for everything but known unicast.
7. May it go there? Each candidate port is asked: not back to where it came from, not from trunk to
   trunk, not against the isolation roles.
8. Queue on egress, within the queue's bound.

The process in which a train came in has taken it through steps 1 to 4 and 6, so one from a trunk
begins at step 5. When a batch is through, every port that was given something is told to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.switch.location import SharedView
from vpnws.switch.networks import Networks
from vpnws.switch.port import AccessPort
from vpnws.wire.discovery import is_discovery
from vpnws.wire.ethernet import BROADCAST, RESERVED, ZERO, is_station_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.switch.format import Format, Written
    from vpnws.switch.location import Location, SharedTable
    from vpnws.switch.port import Origin, Port, Trunk
    from vpnws.wire.train import Train

_OF_ONE_FRAME: Final = frozenset((Drop.LENGTH, Drop.OFFLOAD, Drop.NOT_ALLOWED))
"""Reasons that may be true of one frame in a train and not of the next."""


class Switch:
    """The learning switch of one process."""

    def __init__(
        self,
        slot: int,
        shared: SharedTable,
        *,
        age_s: float,
        fdb_limit: int,
        networks_limit: int,
        no_broadcast: bool = False,
        no_multicast: bool = False,
    ) -> None:
        """`slot` is this process's place on the bus; `shared` the FDB that all processes share.

        `age_s` is the ageing time; `fdb_limit` bounds the MACs of a network, `networks_limit` the
        networks with a port here.
        """
        self.slot = slot
        self.trunks: dict[int, Trunk] = {}
        self._shared = SharedView(slot, shared)
        self.networks = Networks(
            self.trunks,
            self._shared,
            age_s=age_s,
            fdb_limit=fdb_limit,
            networks_limit=networks_limit,
        )
        self._networks = self.networks.by_name
        self._no_broadcast = no_broadcast
        self._no_multicast = no_multicast
        self._backlog: dict[Port, None] = {}
        """Ports that were given something since they last wrote; in order, so that runs repeat."""

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network. Raises CapacityError."""
        self.networks.attach(port)

    def detach(self, port: AccessPort) -> None:
        """Remove `port` and everything learned on it; its queue is dropped with it."""
        self.networks.detach(port)
        self._backlog.pop(port, None)

    def announce(self, port: AccessPort, mac: bytes, now: float) -> None:
        """Learn a MAC that a station names when it connects, as from a frame of its own."""
        self._shared.refresh()
        if is_station_address(mac):
            self.networks.of(port.origin).fdb.learn(port, mac, now)

    def locate(self, network: str, mac: bytes) -> Location | None:
        """Return where the table that all processes share has `mac` of `network`."""
        return self._shared.table.get(network, mac)

    def stations_of(self, port: AccessPort) -> frozenset[bytes]:
        """Return the MACs learned on `port`."""
        return self.networks.of(port.origin).fdb.stations_of(port)

    def age(self, now: float) -> None:
        """Forget MACs not seen for the ageing time; call it every few seconds."""
        self._shared.refresh()
        for network in self.networks:
            network.fdb.age(now)

    def receive(self, ingress: Port, messages: Sequence[bytes], now: float) -> int:
        """Forward the frames in `messages`, which came in at `ingress`; then have ports write.

        `now` is in seconds. Returns how many frames there were.
        """
        self._shared.refresh()
        before = ingress.rx_frames
        for train in ingress.format.read(messages):
            ingress.rx_frames += train.count
            ingress.rx_bytes += train.size_bytes
            if isinstance(ingress, AccessPort):
                self._enter(ingress, train, now)
            else:
                self._arrive(ingress, train, now)
        while self._backlog:
            self._backlog.popitem()[0].outlet.flush(now)
        return ingress.rx_frames - before

    def _enter(self, ingress: AccessPort, train: Train, now: float) -> None:
        """Take a train from a station or a TAP through all steps."""
        refusal = self._admit(ingress, train, now)
        if refusal is None:
            self._forward(ingress.origin, ingress, train, now)
        elif train.count > 1 and refusal in _OF_ONE_FRAME:
            for part in train.split():
                self._enter(ingress, part, now)
        else:
            ingress.drops[refusal] += train.count
            ingress.refused[refusal] = train.addresses[6:]

    def _arrive(self, ingress: Port, train: Train, now: float) -> None:
        """Take a train from another process through the steps that are left."""
        origin = self.networks.named_by(train.label)
        if origin is None:
            ingress.drops[Drop.FILTERED] += train.count
        else:
            self._forward(origin, ingress, train, now)

    def _admit(self, ingress: AccessPort, train: Train, now: float) -> Drop | None:
        """Take a train through steps 1 to 4; return why it must be dropped, if so."""
        # 1 Length
        if not train.is_sound(ingress.max_frame_bytes):
            return Drop.LENGTH if train.is_plain else Drop.OFFLOAD
        # 2 Source
        destination, source = train.addresses[:6], train.addresses[6:]
        if source[0] & 1 or source == ZERO:
            return Drop.SOURCE
        allowed = ingress.destinations
        if allowed is not None and not all(map(allowed.permits, train.frames())):
            return Drop.NOT_ALLOWED
        # 3 Reserved
        if destination in RESERVED:
            return Drop.RESERVED
        # 4 Learn
        return self._networks[ingress.origin.network].fdb.learn(ingress, source, now)

    def _forward(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        """Take an admitted train through steps 5 to 8."""
        # 5 Classify
        destination = train.addresses[:6]
        if destination[0] & 1:
            refusal = self._group_refusal(destination)
            if refusal is None:
                self._flood(origin, ingress, train, now)
            else:
                ingress.drops[refusal] += train.count
            return
        egress = self._networks[origin.network].fdb.find(destination, now)
        if egress is None:
            self._flood(origin, ingress, train, now)
        # 7 May it go there
        elif egress.accepts(origin.role, ingress):
            self._queue(egress, train, egress.format.write(train, origin.label), now)
        else:
            ingress.drops[Drop.FILTERED] += train.count

    def _group_refusal(self, destination: bytes) -> Drop | None:
        if destination == BROADCAST:
            return Drop.NO_BROADCAST if self._no_broadcast else None
        return Drop.NO_MULTICAST if self._no_multicast else None

    def _flood(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        # 6 Storm control: the whole train if there is room for it, or frame by frame
        storm = ingress.storm
        if storm.admit_all(train.packet_count(), now):
            self._deliver_all(origin, ingress, train, now)
            return
        for part in train.split():
            if storm.admit(part.packet_count(), now) or (
                is_discovery(part.frames()[0]) and storm.admit_discovery(now)
            ):
                self._deliver_all(origin, ingress, part, now)
            else:
                ingress.drops[Drop.STORM] += part.count

    def _deliver_all(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        """Queue a train wherever it may go; it is written once for each format."""
        written: dict[Format, Written] = {}
        for ports in (self._networks[origin.network].ports, self.trunks):
            for egress in ports.values():
                # 7 May it go there
                if egress.accepts(origin.role, ingress):
                    if egress.format not in written:
                        written[egress.format] = egress.format.write(train, origin.label)
                    self._queue(egress, train, written[egress.format], now)

    def _queue(self, egress: Port, train: Train, written: Written, now: float) -> None:
        # 8 Queue
        items, size_bytes = written
        count = len(items)
        egress.egress.push(items, max(count, train.count), size_bytes, now)
        self._backlog[egress] = None
