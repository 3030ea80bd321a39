"""The forwarding process (IEEE 802.1Q 8.6): frames in at a port, frames queued at others.

One `Switch` serves one process; trunks join the switches of all processes into one. Every frame
takes these steps, in this order; the comments in the code bear the same numbers.

1. Length: at least a header, at most the ingress port's longest frame.
2. Source: a station's own address, neither a group's nor zero; and only where its policy lets it.
3. Reserved group addresses 01-80-C2-00-00-0X are never forwarded (8.6.3).
4. Learn the source, within the port's station limit and the move guard.
5. Classify by destination: known unicast, unknown unicast, multicast, broadcast; the last two
   may be forbidden altogether.
6. Storm control for everything but known unicast.
7. For each candidate: may this frame go from its ingress to that egress? Not to where it came
   from, not from trunk to trunk, not against the isolation roles.
8. Queue on egress, within the queue's bound.

A frame from a trunk was admitted by the process it came in at and begins at step 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.errors import CapacityError
from vpnws.switch.drop import Drop
from vpnws.switch.isolation import Kind, Role, may_talk
from vpnws.switch.network import Network
from vpnws.switch.port import AccessPort, Origin, Port, Trunk
from vpnws.wire import trunk
from vpnws.wire.ethernet import BROADCAST, HEADER_BYTES, RESERVED, ZERO, is_station_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.switch.location import SharedTable

ORIGINS_MOST = 4096
"""Most kinds of origin remembered from trunks; a full table is begun anew."""


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
        """`slot` is this process's place on the bus; `shared` the FDB that all processes share."""
        self.slot = slot
        self.networks: dict[str, Network] = {}
        self.trunks: dict[int, Trunk] = {}
        self.backlog: set[Port] = set()
        """Ports with something newly queued; whoever writes to ports empties it."""
        self._shared = shared
        self._age_s = age_s
        self._fdb_limit = fdb_limit
        self._networks_limit = networks_limit
        self._no_broadcast = no_broadcast
        self._no_multicast = no_multicast
        self._origins: dict[bytes, Origin | None] = {}
        self._epoch = b""

    def check_room(self, network: str) -> None:
        """Raise CapacityError if `network` is new and would pass the bound."""
        if network not in self.networks and len(self.networks) >= self._networks_limit:
            raise CapacityError(f"there are {self._networks_limit} networks already")

    def origin(self, network: str, role: Role) -> Origin:
        """Return the origin for a port of `role` in `network`, which comes to be if it is new.

        Attach the port at once: a network without ports does not last. Raises CapacityError when
        a new network would pass the bound.
        """
        label = trunk.encode_label(role.kind, role.community, network)
        return Origin(self._network(network), role, label)

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network."""
        port.origin.network.ports[port.id] = port

    def detach(self, port: AccessPort) -> None:
        """Remove `port` and everything learned on it; its queue is dropped with it."""
        network = port.origin.network
        network.fdb.forget_port(port)
        network.ports.pop(port.id, None)
        self.backlog.discard(port)
        if not network.ports:
            self.networks.pop(network.name, None)
            self._origins.clear()

    def announce(self, port: AccessPort, mac: bytes, now: float) -> None:
        """Learn a MAC that a station names when it connects, as from a frame of its own."""
        self._notice_epoch(port.origin.network)
        if is_station_address(mac):
            port.origin.network.fdb.learn(port, mac, now)

    def receive(self, ingress: AccessPort, frames: Iterable[bytes], now: float) -> None:
        """Forward `frames` that came in at `ingress`, in order; `now` is in seconds.

        A frame with the addresses of the one before, if that was known unicast, goes the same
        way without being asked again: within one call neither time nor tables move.
        """
        origin, policy = ingress.origin, ingress.policy
        self._notice_epoch(origin.network)
        longest = ingress.max_frame_bytes
        learn = origin.network.fdb.learn
        count = size_bytes = 0
        path = b""
        egress: Port | None = None
        for frame in frames:
            size = len(frame)
            count += 1
            size_bytes += size
            # 1
            if not HEADER_BYTES <= size <= longest:
                ingress.drops[Drop.LENGTH] += 1
                continue
            addresses = frame[:12]
            if policy is not None and not policy.permits(frame):
                ingress.drops[Drop.NOT_ALLOWED] += 1
                continue
            if egress is not None and addresses == path:
                # 8
                self._queue(egress, egress.encode(origin, frame), size)
                continue
            # 2
            source = frame[6:12]
            if source[0] & 1 or source == ZERO:
                ingress.drops[Drop.SOURCE] += 1
                continue
            # 3
            destination = frame[:6]
            if destination in RESERVED:
                ingress.drops[Drop.RESERVED] += 1
                continue
            # 4
            egress = None
            refused = learn(ingress, source, now)
            if refused is not None:
                ingress.drops[refused] += 1
                continue
            egress = self._relay(origin, ingress, destination, frame, now)
            path = addresses
        ingress.rx_frames += count
        ingress.rx_bytes += size_bytes

    def receive_records(self, ingress: Trunk, message: bytes, now: float) -> None:
        """Forward the frames of one bus message from another process; `now` is in seconds."""
        read_label = path = b""
        origin: Origin | None = None
        egress: Port | None = None
        for label, frame in trunk.decode_records(message):
            ingress.rx_frames += 1
            ingress.rx_bytes += len(frame)
            if label != read_label:
                read_label, egress = label, None
                origin = self._origins.get(label) or self._read_label(label)
                if origin is not None:
                    self._notice_epoch(origin.network)
            if origin is None:
                ingress.drops[Drop.FILTERED] += 1
                continue
            addresses = frame[:12]
            if egress is not None and addresses == path:
                self._queue(egress, egress.encode(origin, frame), len(frame))
                continue
            egress = self._relay(origin, ingress, frame[:6], frame, now)
            path = addresses

    def age(self, now: float) -> None:
        """Forget MACs not seen for the ageing time; call it every few seconds."""
        for network in self.networks.values():
            self._notice_epoch(network)
            network.fdb.age(now)

    def _relay(
        self, origin: Origin, ingress: Port, destination: bytes, frame: bytes, now: float
    ) -> Port | None:
        """Take an admitted frame through steps 5 to 8; return the one port it went to, if one."""
        # 5
        if not destination[0] & 1:
            egress = origin.network.fdb.find(destination, now)
            if egress is not None:
                # 7
                if _should_deliver(origin, ingress, egress):
                    self._queue(egress, egress.encode(origin, frame), len(frame))
                    return egress
                ingress.drops[Drop.FILTERED] += 1
                return None
        elif destination == BROADCAST:
            if self._no_broadcast:
                ingress.drops[Drop.NO_BROADCAST] += 1
                return None
        elif self._no_multicast:
            ingress.drops[Drop.NO_MULTICAST] += 1
            return None
        # 6
        if isinstance(ingress, AccessPort) and not ingress.storm.admit(now):
            ingress.drops[Drop.STORM] += 1
            return None
        self._flood(origin, ingress, frame)
        return None

    def _flood(self, origin: Origin, ingress: Port, frame: bytes) -> None:
        written: dict[object, bytes] = {}
        for candidates in (origin.network.ports, self.trunks):
            for egress in candidates.values():
                # 7
                if not _should_deliver(origin, ingress, egress):
                    continue
                encode = egress.encode
                message = written.get(encode)
                if message is None:
                    message = written[encode] = encode(origin, frame)
                self._queue(egress, message, len(frame))

    def _queue(self, egress: Port, message: bytes, size_bytes: int) -> None:
        # 8
        if size_bytes > egress.max_frame_bytes:
            egress.drops[Drop.EGRESS_LENGTH] += 1
        elif egress.egress.push(message):
            egress.tx_frames += 1
            egress.tx_bytes += size_bytes
            self.backlog.add(egress)
        else:
            egress.drops[Drop.EGRESS_FULL] += 1

    def _notice_epoch(self, network: Network) -> None:
        network.fdb.epoch = self._shared_epoch()

    def _shared_epoch(self) -> bytes:
        """Return the shared epoch, as the same object for as long as it has not moved."""
        epoch = self._shared.epoch()
        if epoch != self._epoch:
            self._epoch = epoch
        return self._epoch

    def _network(self, name: str) -> Network:
        network = self.networks.get(name)
        if network is not None:
            return network
        self.check_room(name)
        network = self.networks[name] = Network(
            name,
            self.trunks,
            slot=self.slot,
            shared=self._shared,
            age_s=self._age_s,
            limit=self._fdb_limit,
        )
        self._origins.clear()
        return network

    def _read_label(self, label: bytes) -> Origin | None:
        """Find the origin that a trunk's label names; None when no port here is in its network."""
        if len(self._origins) >= ORIGINS_MOST:
            self._origins.clear()
        kind, community, name = trunk.decode_label(label)
        network = self.networks.get(name)
        origin = None if network is None else Origin(network, Role(Kind(kind), community), label)
        self._origins[label] = origin
        return origin


def encode_for_trunk(origin: Origin, frame: bytes) -> bytes:
    """Write a frame as a trunk's record; the encoder of every trunk."""
    return trunk.encode_record(origin.label, frame)


def _should_deliver(origin: Origin, ingress: Port, egress: Port) -> bool:
    if ingress is egress:
        return False
    if isinstance(egress, AccessPort):
        return may_talk(origin.role, egress.origin.role)
    return not ingress.is_trunk
