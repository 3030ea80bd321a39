"""The switches of several processes against a slow model of one switch that knows everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

NETWORKS = st.sampled_from(["blue", "red"])
MACS = st.integers(1, 4)


class Switches(RuleBasedStateMachine):
    """Ports come and go, stations speak and move; each frame must reach just who it should."""

    ports = Bundle("ports")

    def __init__(self) -> None:
        super().__init__()
        self.fabric = Fabric(slots=3)
        self.live: list[AccessPort] = []
        self.where: dict[tuple[str, bytes], AccessPort] = {}

    @rule(target=ports, slot=st.integers(0, 2), network=NETWORKS)
    def attach(self, slot: int, network: str) -> AccessPort:
        port = self.fabric.attach(slot, network=network)
        self.live.append(port)
        return port

    @rule(port=consumes(ports))
    def detach(self, port: AccessPort) -> None:
        self.fabric.detach(port)
        self.live.remove(port)
        self.where = {key: there for key, there in self.where.items() if there is not port}

    @rule(port=ports, source=MACS, destination=st.one_of(MACS, st.none()))
    def send(self, port: AccessPort, source: int, destination: int | None) -> None:
        # Longer than any memory of a miss, and than the guard against MACs that move too often.
        self.fabric.now += 11
        network = port.origin.network
        self.where[network, mac(source)] = port
        group = BROADCAST if destination is None else mac(destination)
        sent = frame(group, mac(source))
        self.fabric.send(port, sent)
        goal = self.where.get((network, group))
        for other in self.live:
            same = other.origin.network == network and other is not port
            expected = same and (goal is None or goal is other)
            assert self.fabric.received(other) == ([sent] if expected else [])

    @rule(port=ports, source=MACS, destinations=st.lists(MACS, max_size=6))
    def send_batch(self, port: AccessPort, source: int, destinations: list[int]) -> None:
        """Frames that come in together: no frame may take the way of the one before wrongly."""
        self.fabric.now += 11
        network = port.origin.network
        if destinations:
            self.where[network, mac(source)] = port
        sent = [frame(mac(number), mac(source)) for number in destinations]
        self.fabric.send(port, *sent)
        for other in self.live:
            if other.origin.network != network or other is port:
                assert self.fabric.received(other) == []
                continue
            goals = [self.where.get((network, one[:6]), other) for one in sent]
            expected = [one for one, goal in zip(sent, goals, strict=True) if goal is other]
            assert self.fabric.received(other) == expected

    @invariant()
    def the_table_names_only_live_ports(self) -> None:
        ids = {port.id for port in self.live}
        assert {there.port_id for there in self.fabric.table.entries.values()} <= ids


TestSwitches = Switches.TestCase
TestSwitches.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
