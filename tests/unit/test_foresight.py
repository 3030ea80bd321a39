"""What is foreseen of a frame is what the switch then does with it, and looking changes nothing."""

from __future__ import annotations

import copy
import random
from collections import Counter
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fabric import LIMIT_BYTES, Fabric
from tests.support.frames import ARP, IPV4, frame, ipv4, mac
from vpnws.switch.drop import Drop
from vpnws.switch.foresight import Foresight, Step
from vpnws.switch.guard.claims import ANONYMOUS, OWN
from vpnws.switch.guard.destinations import AllowedDestinations
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, SAME_COMMUNITY, Kind, Role
from vpnws.switch.port import AccessPort, Trunk
from vpnws.switch.recent import MISS_S
from vpnws.wire.ethernet import BROADCAST, RESERVED, ZERO

if TYPE_CHECKING:
    from vpnws.switch.foresight import Forecast

STEPS = 300
SEEDS = range(60)
FEW_BYTES = 400
"""A queue that holds a few small frames."""
NAMES = (ANONYMOUS, ANONYMOUS, b"alice---", b"bob-----")
MACS = tuple(mac(number) for number in range(1, 7))
GROUPS = (BROADCAST, b"\x01\x00\x5e\x00\x00\x01", min(RESERVED))
ROLES = (SAME_COMMUNITY, SAME_COMMUNITY, ISOLATED, PROMISCUOUS, Role(Kind.COMMUNITY, "x"))
ALLOWED = AllowedDestinations((ip_network("10.0.0.0/30"),))
STEP_OF = {
    Drop.LENGTH: Step.LENGTH,
    Drop.SOURCE: Step.SOURCE,
    Drop.NOT_ALLOWED: Step.SOURCE,
    Drop.RESERVED: Step.RESERVED,
    Drop.STATION_LIMIT: Step.LEARN,
    Drop.MAC_TAKEN: Step.LEARN,
    Drop.MOVE_GUARD: Step.LEARN,
    Drop.NO_BROADCAST: Step.CLASSIFY,
    Drop.NO_MULTICAST: Step.CLASSIFY,
    Drop.STORM: Step.STORM,
    Drop.FILTERED: Step.EGRESS,
    Drop.EGRESS_FULL: Step.QUEUE,
}


class Run:
    """One seeded run: each frame is foreseen, then sent, and both are compared."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.fabric = Fabric(
            3,
            no_broadcast=self.random.random() < 0.2,
            no_multicast=self.random.random() < 0.2,
        )
        self.ports: list[AccessPort] = []
        self.seen: Counter[Drop] = Counter()

    def step(self) -> None:
        self.fabric.now += self.random.choice((0.0, 0.0, 0.05, 0.3, 1.5, 6.0))
        kinds = [self.send, self.attach, self.detach, self.drain, self.age]
        self.random.choices(kinds, weights=(70, 15, 5, 8, 2))[0]()

    def attach(self) -> None:
        if len(self.ports) == 10:
            return
        choose = self.random.choice
        claim = choose((*NAMES, OWN))
        port = self.fabric.attach(
            choose((0, 1, 2)),
            network=choose(("blue", "blue", "red")),
            role=choose(ROLES),
            station_limit=choose((1, 2, 100)),
            claim=claim,
            own=frozenset() if claim == OWN else choose((None, frozenset(MACS[:1]))),
            storm_limit=choose((0, 1)),
            egress_limit_bytes=choose((FEW_BYTES, LIMIT_BYTES)),
            max_frame_bytes=1514,
            hears_floods=choose((True, False)),
        )
        port.destinations = choose((None, None, ALLOWED))
        self.ports.append(port)

    def detach(self) -> None:
        if self.ports:
            port = self.ports.pop(self.random.randrange(len(self.ports)))
            self.fabric.detach(port, release=self.random.random() < 0.5)

    def drain(self) -> None:
        for port in self.ports:
            self.fabric.received(port)

    def age(self) -> None:
        for switch in self.fabric.switches:
            switch.age(self.fabric.now)

    def send(self) -> None:
        if not self.ports:
            return
        ingress = self.random.choice(self.ports)
        one = self.some_frame()
        held = [port for port in self.ports if one[:6] in self.fabric.stations(port)]
        if ingress in held and one[6:12] not in self.fabric.stations(ingress):
            return  # The new source might take the place of the destination.
        goals, drops = self.foresee(ingress, one)
        queued = {port: port.egress.counts.offered_frames - _lost(port) for port in self.ports}
        dropped = self.drops()
        self.fabric.send(ingress, one)
        got = {p for p in self.ports if p.egress.counts.offered_frames - _lost(p) > queued[p]}
        assert got == goals
        assert self.drops() - dropped == drops
        for (_port, reason), count in drops.items():
            self.seen[reason] += count

    def some_frame(self) -> bytes:
        choose = self.random.choice
        source = choose(MACS) if self.random.random() < 0.95 else choose((BROADCAST, ZERO))
        destination = choose((*MACS, *MACS, *GROUPS))
        kind = choose((IPV4, IPV4, ARP))
        if self.random.random() < 0.2:
            return ipv4(addresses=("10.0.0.1", "10.0.0.2"), macs=destination + source)
        return frame(destination, source, choose((60, 60, 60, 2000)), kind)

    def foresee(
        self, ingress: AccessPort, one: bytes
    ) -> tuple[set[AccessPort], Counter[tuple[Any, Drop]]]:
        """Return who would get the frame, and what would be dropped at which port."""
        home = self.fabric.switch_of(ingress)
        first = Foresight(home).of_frame(ingress, one, self.fabric.now)
        goals: set[AccessPort] = set()
        drops: Counter[tuple[Any, Drop]] = Counter()
        _note(first, ingress, goals, drops)
        for trunk in [port for port in first.ports if isinstance(port, Trunk)]:
            there = self.fabric.switches[trunk.id]
            sight = Foresight(there).of_trunk(ingress.origin, home.slot, one, self.fabric.now)
            _note(sight, there.trunks[home.slot], goals, drops)
        return goals, drops

    def drops(self) -> Counter[tuple[Any, Drop]]:
        trunks = [trunk for switch in self.fabric.switches for trunk in switch.trunks.values()]
        return Counter(
            {
                (port, reason): count
                for port in (*self.ports, *trunks)
                for reason, count in port.drops.items()
            }
        )

    def state(self) -> Any:
        """Return all that the switches and their table have, as plain data."""
        table = (dict(self.fabric.table.entries), self.fabric.table.moves)
        return table, [_plain(switch, {}) for switch in self.fabric.switches]


def _lost(port: AccessPort) -> int:
    return port.egress.counts.discarded_frames


def _note(
    forecast: Forecast, at: Any, goals: set[AccessPort], drops: Counter[tuple[Any, Drop]]
) -> None:
    goals.update(port for port in forecast.ports if isinstance(port, AccessPort))
    if forecast.drop is not None and forecast.drop is not Drop.EGRESS_FULL:
        drops[at, forecast.drop] += 1
        if forecast.step is not Step.CLASSIFY:
            assert STEP_OF[forecast.drop] is forecast.step
    for port in forecast.full:
        drops[port, Drop.EGRESS_FULL] += 1


def _plain(thing: Any, seen: dict[int, int]) -> Any:
    """Return an object as nested tuples of what it and all that it leads to have."""
    if isinstance(thing, (int, float, str, bytes, type(None), type)):
        return thing
    if id(thing) in seen:
        return ("again", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, dict):
        return tuple((_plain(key, seen), _plain(value, seen)) for key, value in thing.items())
    if isinstance(thing, (set, frozenset)):
        return frozenset(_plain(each, seen) for each in thing)
    if hasattr(thing, "__iter__"):
        return tuple(_plain(each, seen) for each in thing)
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    names += sorted(vars(thing)) if hasattr(thing, "__dict__") else []
    left_out = {"table", "_table", "reads", "__weakref__"}
    return tuple(
        (name, _plain(getattr(thing, name), seen))
        for name in names
        if name not in left_out and hasattr(thing, name)
    )


def test_what_is_foreseen_happens_whatever_the_reason() -> None:
    seen: Counter[Drop] = Counter()
    for seed in SEEDS:
        run = Run(seed)
        for _ in range(STEPS):
            run.step()
        seen += run.seen
    assert set(STEP_OF) <= set(seen)


@pytest.mark.parametrize("seed", [1, 2])
def test_looking_changes_nothing(seed: int) -> None:
    run = Run(seed)
    for _ in range(STEPS):
        run.step()
        before = run.state()
        for ingress in run.ports:
            run.foresee(ingress, run.some_frame())
        assert run.state() == before


def test_a_mac_that_was_not_found_a_moment_ago_is_flooded_still() -> None:
    fabric = Fabric(2)
    first, other, far = fabric.attach(0), fabric.attach(0), fabric.attach(1)
    fabric.send(first, frame(mac(2), mac(1)))
    fabric.send(far, frame(mac(9), mac(2)))
    fabric.received(other)
    one, sight = frame(mac(2), mac(1)), Foresight(fabric.switches[0])
    assert sight.of_frame(first, one, fabric.now).is_flooded
    fabric.send(first, one)
    assert fabric.received(other) == [one]
    fabric.now += MISS_S
    assert not sight.of_frame(first, one, fabric.now).is_flooded
    fabric.send(first, one)
    assert fabric.received(other) == []


def test_the_state_that_is_compared_shows_a_change() -> None:
    run = Run(0)
    run.attach()
    before = copy.deepcopy(run.state())
    assert before == run.state()
    (port,) = run.ports
    port.storm.admit(1, run.fabric.now)
    run.fabric.send(port, frame(BROADCAST, mac(1)))
    assert before != run.state()
