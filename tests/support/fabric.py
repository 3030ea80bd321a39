"""Several switches joined by trunks in one process: the server's processes without their I/O."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from vpnws.switch.format import PLAIN_FRAMES, TRUNK_ITEMS, Format
from vpnws.switch.forwarding import Switch
from vpnws.switch.guard.claims import ANONYMOUS, OWN, RESERVED_S
from vpnws.switch.guard.roles import SAME_COMMUNITY, Role
from vpnws.switch.guard.storm import StormControl
from vpnws.switch.location import NOWHERE, Location
from vpnws.switch.port import AccessPort, Trunk
from vpnws.switch.queue.queue import EgressQueue

if TYPE_CHECKING:
    from vpnws.switch.fdb import Fdb

LIMIT_BYTES = 1_000_000


@dataclass
class FakeTable:
    """The table that switches share, as a dictionary with a bound."""

    max_entries: int = 1000
    entries: dict[tuple[str, bytes], Location] = field(default_factory=dict)
    moves: int = 0
    reads: int = 0
    now: float = 1000.0

    def get(self, network: str, mac: bytes) -> Location | None:
        self.reads += 1
        there = self.entries.get((network, mac))
        return there if there is not None and self.now < there.until_s else None

    def put(self, network: str, mac: bytes, location: Location) -> bool:
        if (network, mac) not in self.entries and len(self.entries) >= self.max_entries:
            return False
        self.entries[network, mac] = location
        return True

    def delete(self, network: str, mac: bytes) -> None:
        self.entries.pop((network, mac), None)

    def reserve(self, network: str, mac: bytes, claim: bytes, *, is_pinned: bool = False) -> None:
        if claim == ANONYMOUS:
            self.delete(network, mac)
            return
        until_s = inf if claim == OWN or is_pinned else self.now + RESERVED_S
        self.entries[network, mac] = Location(NOWHERE, 0, claim, until_s, is_pinned=is_pinned)

    def bump(self) -> None:
        self.moves += 1

    def epoch(self) -> bytes:
        return self.moves.to_bytes(8, "big")


class Fabric:
    """Switches at slots 0, 1, ... around one table, with a trunk between every two."""

    def __init__(
        self,
        slots: int = 2,
        *,
        age_s: float = 300.0,
        fdb_limit: int = 1000,
        no_broadcast: bool = False,
        no_multicast: bool = False,
    ) -> None:
        self.table = FakeTable()
        self.switches = [
            Switch(
                slot,
                self.table,
                age_s=age_s,
                fdb_limit=fdb_limit,
                networks_limit=8,
                no_broadcast=no_broadcast,
                no_multicast=no_multicast,
            )
            for slot in range(slots)
        ]
        self._ids = itertools.count(1)
        for switch in self.switches:
            for other in range(slots):
                if other != switch.slot:
                    queue = EgressQueue(LIMIT_BYTES)
                    switch.trunks[other] = Trunk(other, TRUNK_ITEMS, queue, 65535)

    @property
    def now(self) -> float:
        """The clock of the switches and of their table."""
        return self.table.now

    @now.setter
    def now(self, now: float) -> None:
        self.table.now = now

    def attach(
        self,
        slot: int = 0,
        *,
        network: str = "default",
        role: Role = SAME_COMMUNITY,
        station_limit: int = 100,
        claim: bytes = ANONYMOUS,
        own: frozenset[bytes] | None = None,
        storm_limit: int = 0,
        egress_limit_bytes: int = LIMIT_BYTES,
        max_frame_bytes: int = 65535,
        format_: Format = PLAIN_FRAMES,
        hears_floods: bool = True,
    ) -> AccessPort:
        switch = self.switches[slot]
        port = AccessPort(
            next(self._ids),
            format_,
            EgressQueue(egress_limit_bytes),
            max_frame_bytes,
            origin=switch.networks.make_origin(network, role),
            storm=StormControl(storm_limit, self.now),
            station_limit=station_limit,
            claim=claim,
            own=own,
            hears_floods=hears_floods,
        )
        switch.attach(port)
        return port

    def switch_of(self, port: AccessPort) -> Switch:
        return next(
            switch
            for switch in self.switches
            for network in switch.networks
            if network.ports.get(port.id) is port
        )

    def fdb(self, port: AccessPort) -> Fdb:
        return self.switch_of(port).networks.of(port.origin).fdb

    def stations(self, port: AccessPort) -> frozenset[bytes]:
        return self.fdb(port).stations_of(port)

    def detach(self, port: AccessPort, *, release: bool = False) -> None:
        self.switch_of(port).detach(port, release=release)

    def send(self, port: AccessPort, *messages: bytes) -> None:
        """Let messages come in at `port` and cross trunks until nothing moves."""
        self.receive(port, *messages)
        while self.flood() or self.cross():
            pass

    def receive(self, port: AccessPort, *messages: bytes) -> None:
        """Let messages come in at `port`, for one turn of its switch."""
        self.switch_of(port).receive(port, messages, self.now)

    def received(self, port: AccessPort) -> list[bytes]:
        """Take what is queued at `port`, item by item."""
        return port.egress.take(LIMIT_BYTES, LIMIT_BYTES, self.now)

    def flood(self) -> bool:
        """Give each switch one turn to flood what waits; return whether more waits."""
        return sum(switch.flood_waiting(self.now) for switch in self.switches) > 0

    def cross(self) -> bool:
        """Let what is queued on trunks cross; return whether anything was."""
        moved = False
        for switch in self.switches:
            for slot, trunk in switch.trunks.items():
                while items := trunk.egress.take(100_000, 100, self.now):
                    there = self.switches[slot]
                    there.receive(there.trunks[switch.slot], (b"".join(items),), self.now)
                    moved = True
        return moved
