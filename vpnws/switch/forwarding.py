"""The forwarding process (IEEE 802.1Q 8.6): frames come in at a port and are queued at others.

One `Switch` serves one process; trunks join the switches of all processes into one. Frames travel
in trains (see wire/train): frames that came in together and go the same way are judged once. Every
train takes these steps, in this order. The comments in the code have the same numbers.

1. Length: at least a header, and at most the ingress port's `max_frame_bytes`. A record's virtio
   header must also be true of its frame (see wire/offload).
2. Source: a station's own address, neither a group address nor zero. If the port has allowed
   destinations, the frame must go to one of them; a blocked port has none.
3. Reserved group addresses 01-80-C2-00-00-0X are never forwarded (8.6.3).
4. Learn the source, within the port's station limit; a MAC that another port has must be free to
   move (see guard/claims).
5. Classify by destination: known unicast, unknown unicast, multicast, broadcast. A setting can
   forbid the last two. A question that the network answers itself (DHCP) goes no further.
6. Storm control, for everything but known unicast.
7. Egress rules: a train does not go back to the port it came from, nor from trunk to trunk, nor
   against the isolation roles. What is flooded does not go to a port that does not hear it yet.
8. Queue on egress, within the queue's bound.

Another process has taken a train from a trunk through steps 1 to 4 and 6, so here it begins at
step 5. After each batch, every port that got something is told to write. What is flooded to more
ports than one turn has time for waits (see floods).
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.floods import Flooder
from vpnws.switch.guard.destinations import permits_at
from vpnws.switch.guard.length import length_refusal
from vpnws.switch.guard.storm import MAX_DISCOVERY_LOOKS
from vpnws.switch.location import SharedView
from vpnws.switch.mirror import Mirrors
from vpnws.switch.networks import Networks
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import BROADCAST, RESERVED, ZERO, is_station_address
from vpnws.wire.told import MAX_TOLD_BYTES, UNICAST_TOLD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.switch.format import Written
    from vpnws.switch.guard.destinations import Destinations
    from vpnws.switch.location import Location, SharedTable
    from vpnws.switch.networks import Network
    from vpnws.switch.port import Origin, Port, Trunk
    from vpnws.wire.train import Train


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
        on_waiting: Callable[[], object] = lambda: None,
    ) -> None:
        """`slot` is this process's place on the bus; `shared` the FDB that all processes share.

        `age_s` is the ageing time. `fdb_limit` bounds the MACs of one network; `networks_limit`
        bounds the networks that have a port here. `on_waiting` is called when the first flood has
        to wait; call `flood_waiting` soon.
        """
        self.slot = slot
        self.trunks: dict[int, Trunk] = {}
        self.shared = SharedView(slot, shared)
        self.networks = Networks(
            self.trunks,
            self.shared,
            age_s=age_s,
            fdb_limit=fdb_limit,
            networks_limit=networks_limit,
        )
        self._networks = self.networks.by_name
        self._no_broadcast = no_broadcast
        self._no_multicast = no_multicast
        self.flooder = Flooder(self._networks, self.trunks, self._queue, on_waiting)
        self.mirrors = Mirrors(self.networks.ports)
        self._backlog: dict[Port, None] = {}
        """Ports that have got something since they last wrote; in order, so that runs repeat."""

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network. Raises CapacityError."""
        self.networks.attach(port)
        self.mirrors.watch(port)

    def detach(self, port: AccessPort, *, release: bool = False) -> None:
        """Remove `port` and everything learned on it; its queue is dropped with it.

        The MACs of a named station stay reserved for it, unless `release` says that it gives them
        up.
        """
        self.networks.detach(port, release=release)
        self._backlog.pop(port, None)

    def announce(self, port: AccessPort, mac: bytes, now: float) -> None:
        """Learn a MAC that a station names when it connects, as if it had sent a frame."""
        self.shared.refresh()
        if is_station_address(mac):
            self.networks.hear(port).fdb.announce(port, mac, now)

    def own(self, port: AccessPort, macs: frozenset[bytes], now: float) -> None:
        """Learn `macs` as the server's own, which nobody else can take, at the TAP `port`.

        Forget those that were its own before and are not any more.
        """
        former, port.own = port.own or frozenset(), macs
        for mac in former - macs:
            self.networks.of(port.origin).fdb.disown(port, mac)
        for mac in macs:
            self.announce(port, mac, now)

    def locate(self, network: str, mac: bytes) -> Location | None:
        """Return where the table that all processes share has `mac` of `network`."""
        return self.shared.table.get(network, mac)

    def stations_of(self, port: AccessPort) -> frozenset[bytes]:
        """Return the MACs learned on `port`."""
        return self.networks.of(port.origin).fdb.stations_of(port)

    def age(self, now: float) -> None:
        """Forget MACs that were not seen for the ageing time. Call it every few seconds."""
        self.shared.refresh()
        self.networks.age(now)

    def receive(self, ingress: Port, messages: Sequence[bytes], now: float) -> int:
        """Forward the frames in `messages`, which came in at `ingress`; then tell ports to write.

        `now` is in seconds. Return how many frames there were.
        """
        self.shared.refresh()
        self.flooder.begin_turn()
        access = ingress if isinstance(ingress, AccessPort) else None
        frames = size_bytes = 0
        for train in ingress.format.read(messages):
            frames += train.count
            size_bytes += train.size_bytes
            if access is not None:
                self._receive_local(access, train, now)
            else:
                self._receive_trunk(ingress, train, now)
        ingress.rx_frames += frames
        ingress.rx_bytes += size_bytes
        if access is not None and frames and not access.hears_floods:
            self.networks.hear(access)
        self._flush(now)
        return frames

    def flood_waiting(self, now: float) -> bool:
        """Make some of the copies that wait, in turns; return whether more wait."""
        more = self.flooder.flood_waiting(now)
        self._flush(now)
        return more

    def group_refusal(self, destination: bytes) -> Drop | None:
        """Return why nothing may go to a group address, or None."""
        if destination == BROADCAST:
            return Drop.NO_BROADCAST if self._no_broadcast else None
        return Drop.NO_MULTICAST if self._no_multicast else None

    def _flush(self, now: float) -> None:
        while self._backlog:
            self._backlog.popitem()[0].outlet.flush(now)

    def _receive_local(self, ingress: AccessPort, train: Train, now: float) -> None:
        """Take a train from a station or a TAP through all the steps."""
        # 1 Length
        if train.is_sound(ingress.max_frame_bytes):
            self._admit(ingress, train, ingress.destinations, now)
            return
        for part, refusal in train.sift(partial(length_refusal, ingress.max_frame_bytes)):
            if refusal is None:
                self._admit(ingress, part, ingress.destinations, now)
            else:
                _refuse(ingress, part, refusal, now)

    def _receive_trunk(self, ingress: Port, train: Train, now: float) -> None:
        """Take a train from another process through the steps that it has not been through."""
        origin = self.networks.origin_of(train.label)
        if origin is None:
            ingress.drop((train,), train.count, Drop.FILTERED, now)
        else:
            network = self._networks[origin.network]
            self._forward(network, origin, ingress, train, train.addresses[:6], now)

    def _admit(
        self, ingress: AccessPort, train: Train, allowed: Destinations | None, now: float
    ) -> None:
        """Take a sound train through the steps from the second on."""
        # 2 Source
        destination, source = train.addresses[:6], train.addresses[6:]
        if source[0] & 1 or source == ZERO:
            _refuse(ingress, train, Drop.SOURCE, now)
            return
        if allowed is not None and not all(map(allowed.permits, train.frames())):
            self._admit_permitted(ingress, train, allowed, now)
            return
        # 3 Reserved
        if destination[0] & 1 and destination in RESERVED:
            _refuse(ingress, train, Drop.RESERVED, now)
            return
        # 4 Learn
        network = self._networks[ingress.origin.network]
        refusal = network.fdb.learn(ingress, source, now)
        if refusal is None:
            self._forward(network, ingress.origin, ingress, train, destination, now)
        else:
            _refuse(ingress, train, refusal, now)

    def _admit_permitted(
        self, ingress: AccessPort, train: Train, allowed: Destinations, now: float
    ) -> None:
        """Admit the frames of a train that may go where they want to."""
        for part, is_permitted in train.sift(partial(permits_at, allowed)):
            if is_permitted:
                self._admit(ingress, part, None, now)
            else:
                _refuse(ingress, part, allowed.refusal, now)

    def _forward(
        self,
        network: Network,
        origin: Origin,
        ingress: Port,
        train: Train,
        destination: bytes,
        now: float,
    ) -> None:
        """Take an admitted train to `destination` through steps 5 to 8."""
        # 5 Classify
        if destination[0] & 1:
            is_short = train.size_bytes <= MAX_TOLD_BYTES
            if is_short and network.hear(ingress, origin.role, train, self._queue, now):
                return
            refusal = self.group_refusal(destination)
            if refusal is None:
                self._flood(origin, ingress, train, now)
            else:
                ingress.drop((train,), train.count, refusal, now)
            return
        may_tell = train.size_bytes in UNICAST_TOLD_BYTES and train.may_tell()
        if may_tell and network.hear(ingress, origin.role, train, self._queue, now):
            return
        egress = network.fdb.find(destination, now, ingress.look_ups)
        if egress is None:
            self._flood(origin, ingress, train, now)
        # 7 Egress rules
        elif egress.accepts(origin.role, ingress):
            if ingress.witness is not None:
                ingress.witness.came(train, now)
            self._queue(egress, train, egress.format.write(train, origin.label), now)
        else:
            ingress.drop((train,), train.count, Drop.FILTERED, now)

    def _flood(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        # 6 Storm control: the whole train if there are tokens for it, or frame by frame
        if ingress.storm.admit_all(train.packet_count(), now):
            self.flooder.flood(origin, ingress, train, now)
            return
        storm, passed = ingress.storm, 0
        parts = iter((train,) if train.count == 1 else train.split())
        refused: list[Train] = []
        for part in parts:
            is_within = storm.admit(part.packet_count(), now)
            if is_within or storm.spares(part, now):
                passed += 1
                self.flooder.flood(origin, ingress, part, now)
            else:
                refused.append(part)
                if len(refused) == MAX_DISCOVERY_LOOKS:
                    break
        if refused:
            ingress.drop(chain(refused, parts), train.count - passed, Drop.STORM, now)

    def _queue(self, egress: Port, train: Train, written: Written, now: float) -> None:
        # 8 Queue
        items, size_bytes = written
        # A train that is cut becomes more frames than it had. One in pieces has fewer items.
        if (frames := len(items)) < train.count:
            frames = train.count
        egress.egress.push(items, frames, size_bytes, now)
        self._backlog[egress] = None


def _refuse(ingress: AccessPort, train: Train, refusal: Drop, now: float) -> None:
    ingress.drop((train,), train.count, refusal, now)
    ingress.refused[refusal] = train.addresses[6:]
