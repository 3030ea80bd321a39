"""The forwarding process (IEEE 802.1Q 8.6): frames in at a port, frames queued at others.

One `Switch` serves one process; trunks join the switches of all processes into one. Every frame
takes these steps, in this order; the comments in the code bear the same numbers.

1. Length: at least a header, at most the ingress port's longest frame; of a record (see
   wire/offload) also whether its header is true of its frame.
2. Source: a station's own address, neither a group's nor zero; and only where its policy lets it.
3. Reserved group addresses 01-80-C2-00-00-0X are never forwarded (8.6.3).
4. Learn the source, within the port's station limit and the move guard.
5. Classify by destination: known unicast, unknown unicast, multicast, broadcast; the last two
   may be forbidden altogether.
6. Storm control for everything but known unicast.
7. For each candidate: may this frame go from its ingress to that egress? Not to where it came
   from, not from trunk to trunk, not against the isolation roles.
8. Queue on egress, within the queue's bound.

Steps 5 to 8 are in relay.py. A frame from a trunk was admitted by the process it came in at and
begins there.

A frame with the addresses of the one before, if that was known unicast, goes the same way without
being asked again: within one call neither time nor tables move. Records that do so one after the
other are queued as one run, without being rebuilt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.ingress import cut_runs
from vpnws.switch.networks import Networks
from vpnws.switch.relay import Relay
from vpnws.wire import trunk
from vpnws.wire.ethernet import HEADER_BYTES, RESERVED, ZERO, is_station_address
from vpnws.wire.offload import PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.switch.location import SharedTable
    from vpnws.switch.port import AccessPort, Origin, Port, Trunk
    from vpnws.wire.websocket import Buffer


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
        self.trunks: dict[int, Trunk] = {}
        self.networks = Networks(
            self.trunks,
            slot=slot,
            shared=shared,
            age_s=age_s,
            fdb_limit=fdb_limit,
            networks_limit=networks_limit,
        )
        self._relay = Relay(self.trunks, no_broadcast=no_broadcast, no_multicast=no_multicast)
        self.backlog = self._relay.backlog
        """Ports with something newly queued; whoever writes to ports empties it."""
        self._shared = shared
        self._epoch = b""

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network."""
        self.networks.attach(port)

    def detach(self, port: AccessPort) -> None:
        """Remove `port` and everything learned on it; its queue is dropped with it."""
        self.networks.detach(port)
        self.backlog.discard(port)

    def announce(self, port: AccessPort, mac: bytes, now: float) -> None:
        """Learn a MAC that a station names when it connects, as from a frame of its own."""
        self._notice_epoch(port.origin)
        if is_station_address(mac):
            port.origin.network.fdb.learn(port, mac, now)

    def receive(self, ingress: AccessPort, frames: Iterable[bytes], now: float) -> int:
        """Forward plain `frames` that came in at `ingress`, in order; `now` is in seconds.

        Returns how many there were.
        """
        origin, policy = ingress.origin, ingress.policy
        self._notice_epoch(origin)
        longest = ingress.max_frame_bytes
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
            if policy is not None and not policy.permits(frame):
                ingress.drops[Drop.NOT_ALLOWED] += 1
                continue
            addresses = frame[:12]
            if egress is not None and addresses == path:
                self._relay.queue(egress, egress.format.one(origin, frame), 1, size, now)
                continue
            egress, path = None, addresses
            if self._admit(ingress, addresses, 1, now):
                egress = self._relay.frame(origin, ingress, frame, now)
        ingress.rx_frames += count
        ingress.rx_bytes += size_bytes
        return count

    def receive_records(self, ingress: AccessPort, messages: Iterable[bytes], now: float) -> int:
        """Forward the records in `messages` that came in at `ingress`; `now` is in seconds.

        Returns how many there were.
        """
        origin = ingress.origin
        self._notice_epoch(origin)
        before = ingress.rx_frames
        path = b""
        egress: Port | None = None
        for message in messages:
            # 1
            for addresses, records, frames in cut_runs(ingress, message):
                if egress is not None and addresses == path:
                    self._relay.queue_run(egress, origin, records, frames, now)
                    continue
                egress, path = None, addresses
                if self._admit(ingress, addresses, frames, now):
                    egress = self._relay.run(origin, ingress, records, frames, now)
        return ingress.rx_frames - before

    def receive_items(self, ingress: Trunk, message: Buffer, now: float) -> None:
        """Forward the runs of one bus message from another process; `now` is in seconds."""
        read_label = path = b""
        origin: Origin | None = None
        egress: Port | None = None
        for label, records, frames in trunk.decode_items(message):
            ingress.rx_frames += frames
            ingress.rx_bytes += len(records) - frames * PREFIX_BYTES
            if label != read_label:
                read_label, egress = label, None
                origin = self.networks.named_by(label)
                if origin is not None:
                    self._notice_epoch(origin)
            if origin is None:
                ingress.drops[Drop.FILTERED] += frames
                continue
            addresses = records[PREFIX_BYTES : PREFIX_BYTES + 12]
            if egress is not None and addresses == path:
                self._relay.queue_run(egress, origin, records, frames, now)
                continue
            path = addresses
            egress = self._relay.run(origin, ingress, records, frames, now)

    def age(self, now: float) -> None:
        """Forget MACs not seen for the ageing time; call it every few seconds."""
        for network in self.networks:
            network.fdb.epoch = self._shared_epoch()
            network.fdb.age(now)

    def _admit(self, ingress: AccessPort, addresses: bytes, frames: int, now: float) -> bool:
        """Take frames with these addresses through steps 2 to 4; False, and counted, if refused."""
        # 2
        source = addresses[6:]
        if source[0] & 1 or source == ZERO:
            ingress.drops[Drop.SOURCE] += frames
            return False
        # 3
        if addresses[:6] in RESERVED:
            ingress.drops[Drop.RESERVED] += frames
            return False
        # 4
        refused = ingress.origin.network.fdb.learn(ingress, source, now)
        if refused is not None:
            ingress.drops[refused] += frames
            return False
        return True

    def _notice_epoch(self, origin: Origin) -> None:
        origin.network.fdb.epoch = self._shared_epoch()

    def _shared_epoch(self) -> bytes:
        """Return the shared epoch, as the same object for as long as it has not moved."""
        epoch = self._shared.epoch()
        if epoch != self._epoch:
            self._epoch = epoch
        return self._epoch
