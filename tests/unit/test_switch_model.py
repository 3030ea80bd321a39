"""The switches of several processes against a slow model of one switch that knows everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from tests.support.reference_switch import ReferenceSwitch
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
        self.model: ReferenceSwitch[AccessPort] = ReferenceSwitch()

    @rule(target=ports, slot=st.integers(0, 2), network=NETWORKS)
    def attach(self, slot: int, network: str) -> AccessPort:
        port = self.fabric.attach(slot, network=network)
        self.model.attach(port, network)
        return port

    @rule(port=consumes(ports))
    def detach(self, port: AccessPort) -> None:
        self.fabric.detach(port)
        self.model.detach(port)

    @rule(port=ports, source=MACS, destination=st.one_of(MACS, st.none()))
    def send(self, port: AccessPort, source: int, destination: int | None) -> None:
        group = BROADCAST if destination is None else mac(destination)
        self.exchange(port, frame(group, mac(source)))

    @rule(port=ports, source=MACS, destinations=st.lists(MACS, max_size=6))
    def send_batch(self, port: AccessPort, source: int, destinations: list[int]) -> None:
        """Frames that come in together: no frame may take the way of the one before wrongly."""
        self.exchange(port, *[frame(mac(number), mac(source)) for number in destinations])

    def exchange(self, port: AccessPort, *frames: bytes) -> None:
        """Send `frames`, and compare what every port gets with what the model says."""
        # Longer than any memory of a miss, and than the guard against MACs that move too often.
        self.fabric.now += 11
        self.fabric.send(port, *frames)
        for other, expected in self.model.forward(port, *frames).items():
            assert self.fabric.received(other) == expected

    @invariant()
    def the_table_names_only_live_ports(self) -> None:
        ids = {port.id for port in self.model.ports}
        assert {there.port_id for there in self.fabric.table.entries.values()} <= ids


TestSwitches = Switches.TestCase
TestSwitches.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
