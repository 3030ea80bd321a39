"""Floods: a train is copied to all ports of its network, at once or in turns with other floods.

Every port of a network gets a copy of a flooded frame. So one message of a station may cost
thousands of writes, and nobody else would be served meanwhile. One turn of the switch makes at most
MAX_TURN_WRITES of these; then others have their turn. While any flood waits, every new one waits
too, each behind those of its own source. So nothing that one source floods is reordered, and a
source that floods much waits longer than one that floods little.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.switch.guard.claims import OWN
from vpnws.switch.port import AccessPort

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from vpnws.switch.format import Format, Written
    from vpnws.switch.networks import Network
    from vpnws.switch.port import Origin, Port, Trunk
    from vpnws.wire.train import Train

MAX_TURN_WRITES: Final = 256
"""Copies of flooded trains that one turn makes, in writes to a port; the rest waits for another
turn, and all who have something to send are served in between."""
FRAMES_PER_WRITE: Final = 64
"""This many frames more in a train cost as much as one write more."""
MAX_WAIT_S: Final = 0.5
"""A flood that has waited this long for its first copy is dropped (`flood_queue`): who it is for
has asked again by then."""
MAX_SOURCE_BYTES: Final = 2 * 1024 * 1024
"""Memory of one source's floods that wait; one more is dropped (`flood_queue`). Small frames that
the default `vpnws-storm-limit` lets pass in one burst have room."""
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""The same for all sources of a process together."""
NEWCOMERS_BYTES: Final = 4 * 1024 * 1024
"""This much of MAX_WAITING_BYTES is for sources of which nothing waits yet. Else a few that flood
as much as they may would leave no room for a single ARP request of the others."""
TRAIN_BYTES: Final = 512
"""A waiting train counts this much besides its frames."""
FRAME_BYTES: Final = 64
"""Each of its frames counts this much besides its bytes."""


class Flood:
    """A train on its way to all ports of its network."""

    __slots__ = ("came_s", "ingress", "origin", "ports", "train", "written")

    def __init__(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        """`train` came in at `ingress` at `now` seconds; where it first came in is `origin`."""
        self.came_s = now
        self.origin = origin
        self.ingress = ingress
        self.train = train
        self.ports: list[AccessPort] | None = None
        """Those that have not got it yet; None before the first copy."""
        self.written: dict[Format, Written] = {}
        """The train in each format that was needed so far."""

    @property
    def source(self) -> Hashable:
        """Whose it is: a station's port. On a trunk or a TAP, which many share, it is each MAC."""
        ingress = self.ingress
        is_station = isinstance(ingress, AccessPort) and ingress.claim != OWN
        return ingress if is_station else self.train.addresses[6:]

    @property
    def memory_bytes(self) -> int:
        """What it takes while it waits."""
        return TRAIN_BYTES + FRAME_BYTES * self.train.count + self.train.size_bytes


class _Source:
    """The floods of one source that wait."""

    __slots__ = ("floods", "size_bytes")

    def __init__(self) -> None:
        self.floods: deque[Flood] = deque()
        self.size_bytes = 0


class Floods:
    """The floods that wait, by their sources."""

    __slots__ = ("_size_bytes", "_sources")

    def __init__(self) -> None:
        """Nothing waits."""
        self._sources: dict[Hashable, _Source] = {}
        """In the order of their turns."""
        self._size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, flood: Flood) -> bool:
        """Let `flood` wait behind those of its source; False if there is no room."""
        if not self.has_room(flood):
            return False
        source = self._sources.get(flood.source)
        if source is None:
            source = self._sources[flood.source] = _Source()
        size_bytes = flood.memory_bytes
        flood.train = flood.train.detached()
        source.floods.append(flood)
        source.size_bytes += size_bytes
        self._size_bytes += size_bytes
        return True

    def has_room(self, flood: Flood) -> bool:
        """Return whether `flood` may wait.

        A source of which nothing waits has room for a flood of any length.
        """
        size_bytes = flood.memory_bytes
        source = self._sources.get(flood.source)
        left_bytes = MAX_WAITING_BYTES - self._size_bytes - size_bytes
        if source is None:
            return left_bytes >= 0
        return left_bytes >= NEWCOMERS_BYTES and source.size_bytes + size_bytes <= MAX_SOURCE_BYTES

    def next(self) -> Flood:
        """Return the first flood of the source whose turn it is, which has its next turn last.

        There must be one. The flood stays first of its source until `finish` is called.
        """
        key = next(iter(self._sources))
        source = self._sources[key] = self._sources.pop(key)
        return source.floods[0]

    def finish(self) -> None:
        """Forget the flood that `next` returned last."""
        key = next(reversed(self._sources))
        source = self._sources[key]
        size_bytes = source.floods.popleft().memory_bytes
        source.size_bytes -= size_bytes
        self._size_bytes -= size_bytes
        if not source.floods:
            del self._sources[key]


class Flooder:
    """Copies floods to the ports of their networks that hear them."""

    __slots__ = ("_networks", "_on_waiting", "_queue", "_room_writes", "_trunks", "_waiting")

    def __init__(
        self,
        networks: Mapping[str, Network],
        trunks: Mapping[int, Trunk],
        queue: Callable[[Port, Train, Written, float], None],
        on_waiting: Callable[[], object],
    ) -> None:
        """`queue` queues a train at one port; `on_waiting` is called when the first flood waits."""
        self._networks = networks
        self._trunks = trunks
        self._queue = queue
        self._on_waiting = on_waiting
        self._waiting = Floods()
        self._room_writes = 0
        """Copies that may still be made in this turn."""

    def begin_turn(self) -> None:
        """Allow MAX_TURN_WRITES copies from now on."""
        self._room_writes = MAX_TURN_WRITES

    def flood(self, origin: Origin, ingress: Port, train: Train, now: float) -> None:
        """Queue a train at every port it may go to, or let it wait for its turn."""
        flood, waiting = Flood(origin, ingress, train, now), self._waiting
        if not waiting:
            if self._go_on(flood, now):
                return
            self._on_waiting()
        if not waiting.add(flood):
            ingress.drop((train,), train.count, Drop.FLOOD_QUEUE, now)

    def would_take(self, flood: Flood) -> bool:
        """Return whether `flood` would be copied or wait; change nothing."""
        return not self._waiting or self._waiting.has_room(flood)

    def ports_for(self, flood: Flood) -> list[Port]:
        """Return the ports that `flood` would be copied to."""
        network = self._networks.get(flood.origin.network)
        hearing = [] if network is None else network.flooded.values()
        return [
            egress
            for egress in (*self._trunks.values(), *hearing)
            if egress.accepts(flood.origin.role, flood.ingress)
        ]

    def flood_waiting(self, now: float) -> bool:
        """Make a turn's copies of what waits; return whether more waits."""
        self.begin_turn()
        waiting = self._waiting
        while waiting and self._room_writes > 0:
            flood = waiting.next()
            if flood.ports is None and now - flood.came_s > MAX_WAIT_S:
                flood.ingress.drop((flood.train,), flood.train.count, Drop.FLOOD_QUEUE, now)
                waiting.finish()
            elif self._go_on(flood, now):
                waiting.finish()
        return bool(waiting)

    def _go_on(self, flood: Flood, now: float) -> bool:
        """Queue a train at further ports, while this turn has room; return whether all have it."""
        ports = flood.ports
        if ports is None:
            if flood.ingress.witness is not None:
                flood.ingress.witness.came(flood.train, flood.came_s)
            network = self._networks.get(flood.origin.network)
            # The last port of the network may have gone while the flood waited.
            ports = flood.ports = [] if network is None else list(network.flooded.values())
            self._deliver(flood, self._trunks.values(), now)
        writes = 1 + flood.train.count // FRAMES_PER_WRITE
        count = max(0, -(-self._room_writes // writes))
        self._room_writes -= writes * min(count, len(ports))
        self._deliver(flood, ports[:count], now)
        del ports[:count]
        return not ports

    def _deliver(self, flood: Flood, ports: Iterable[Port], now: float) -> None:
        """Queue a train at those of `ports` that it may go to; it is written once for a format."""
        origin, ingress, train, written = flood.origin, flood.ingress, flood.train, flood.written
        for egress in ports:
            # 7 Egress rules
            if egress.accepts(origin.role, ingress):
                if egress.format not in written:
                    written[egress.format] = egress.format.write(train, origin.label)
                self._queue(egress, train, written[egress.format], now)
