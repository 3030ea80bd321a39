"""Steps 5 to 8 of the forwarding process: from an admitted frame to the egress queues."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.switch.guard.roles import may_talk
from vpnws.switch.port import AccessPort, Port
from vpnws.wire import run
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.offload import PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.switch.format import Format, Item
    from vpnws.switch.port import Origin, Trunk


class _Verdict(Enum):
    """What becomes of a frame that is no known unicast to a port."""

    DROP = 0
    FLOOD = 1


class Relay:
    """Finds where admitted frames go, and queues them there; see switch.py for the steps."""

    def __init__(self, trunks: dict[int, Trunk], *, no_broadcast: bool, no_multicast: bool) -> None:
        """`trunks` are the ports to other processes; whoever makes them adds them there."""
        self.trunks = trunks
        self.backlog: set[Port] = set()
        """Ports with something newly queued; whoever writes to ports empties it."""
        self._no_broadcast = no_broadcast
        self._no_multicast = no_multicast

    def frame(self, origin: Origin, ingress: Port, frame: bytes, now: float) -> Port | None:
        """Take a plain frame through steps 5 to 8; return the port of a known unicast."""
        egress = self._look_up(origin, ingress, frame[:6], 1, now)
        if isinstance(egress, Port):
            self.queue(egress, egress.format.one(origin, frame), 1, len(frame), now)
            return egress
        # 6
        if egress is _Verdict.FLOOD and self._calm(ingress, 1, now):

            def write(format_: Format) -> list[Item]:
                return [(format_.one(origin, frame), 1, len(frame))]

            self._flood(origin, ingress, write, now)
        return None

    def run(
        self, origin: Origin, ingress: Port, records: bytes, frames: int, now: float
    ) -> Port | None:
        """Take a run through steps 5 to 8; return the port of a known unicast."""
        destination = records[PREFIX_BYTES : PREFIX_BYTES + 6]
        egress = self._look_up(origin, ingress, destination, frames, now)
        if isinstance(egress, Port):
            self.queue_run(egress, origin, records, frames, now)
            return egress
        if egress is _Verdict.FLOOD:
            # One by one: many may stand in a run, and each for many packets.
            for record in run.split(records):
                self._flood_record(origin, ingress, record, now)
        return None

    def _flood_record(self, origin: Origin, ingress: Port, record: bytes, now: float) -> None:
        # 6
        if self._calm(ingress, run.packets(record), now):

            def write(format_: Format) -> list[Item]:
                return list(format_.run(origin, record, 1))

            self._flood(origin, ingress, write, now)

    def _look_up(
        self, origin: Origin, ingress: Port, destination: bytes, frames: int, now: float
    ) -> Port | _Verdict:
        """Classify by destination and find the port of a known unicast; count what is dropped."""
        # 5
        if not destination[0] & 1:
            egress = origin.network.fdb.find(destination, now)
            if egress is None:
                return _Verdict.FLOOD
            # 7
            if _should_deliver(origin, ingress, egress):
                return egress
            ingress.drops[Drop.FILTERED] += frames
        elif destination == BROADCAST:
            if not self._no_broadcast:
                return _Verdict.FLOOD
            ingress.drops[Drop.NO_BROADCAST] += frames
        else:
            if not self._no_multicast:
                return _Verdict.FLOOD
            ingress.drops[Drop.NO_MULTICAST] += frames
        return _Verdict.DROP

    @staticmethod
    def _calm(ingress: Port, packets: int, now: float) -> bool:
        """Ask storm control, which trunks have behind them; count what it refuses."""
        if isinstance(ingress, AccessPort) and not ingress.storm.admit(packets, now):
            ingress.drops[Drop.STORM] += 1
            return False
        return True

    def _flood(
        self, origin: Origin, ingress: Port, write: Callable[[Format], list[Item]], now: float
    ) -> None:
        """Queue on every port where it may go what `write` makes of it, once for each format."""
        written: dict[Format, list[Item]] = {}
        for ports in (origin.network.ports, self.trunks):
            for egress in ports.values():
                # 7
                if not _should_deliver(origin, ingress, egress):
                    continue
                items = written.get(egress.format)
                if items is None:
                    items = written[egress.format] = write(egress.format)
                for item, frames, size_bytes in items:
                    self.queue(egress, item, frames, size_bytes, now)

    def queue_run(
        self, egress: Port, origin: Origin, records: bytes, frames: int, now: float
    ) -> None:
        """Queue a run at `egress`, for which it has come through the steps before."""
        for item, in_item, size_bytes in egress.format.run(origin, records, frames):
            self.queue(egress, item, in_item, size_bytes, now)

    def queue(self, egress: Port, item: bytes, frames: int, size_bytes: int, now: float) -> None:
        """Queue an item that holds `frames` frames of `size_bytes` together."""
        # 8
        if egress.egress.push(item, frames, now):
            egress.queued_frames += frames
            egress.queued_bytes += size_bytes
            self.backlog.add(egress)


def _should_deliver(origin: Origin, ingress: Port, egress: Port) -> bool:
    if ingress is egress:
        return False
    if isinstance(egress, AccessPort):
        return may_talk(origin.role, egress.origin.role)
    return not ingress.is_trunk
