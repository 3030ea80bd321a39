"""The switches of several processes against a slow model of one switch that knows everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from tests.support.reference_switch import ReferenceSwitch
from vpnws.switch.guard.claims import ANONYMOUS, OWN
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

NETWORKS = st.sampled_from(["blue", "red"])
MACS = st.integers(1, 4)
CLAIMS = {"": ANONYMOUS, "alice": b"alice...", "bob": b"bob....."}
PAUSES_S = st.sampled_from([0.2, 0.6, 1.1, 2.1, 5.0, 40.0])
"""Each is longer than any memory of a miss or of a verdict."""
FOR_EVER_S = 1e9


class Switches(RuleBasedStateMachine):
    """Ports come and go, stations speak and move; each frame must reach just who it should."""

    ports = Bundle("ports")

    def __init__(self) -> None:
        super().__init__()
        self.fabric = Fabric(slots=3, age_s=FOR_EVER_S)
        self.model: ReferenceSwitch[AccessPort] = ReferenceSwitch()

    @rule(
        target=ports,
        slot=st.integers(0, 2),
        network=NETWORKS,
        name=st.sampled_from(sorted(CLAIMS)),
        hears=st.booleans(),
    )
    def attach(self, slot: int, network: str, name: str, hears: bool) -> AccessPort:
        port = self.fabric.attach(slot, network=network, claim=CLAIMS[name], hears_floods=hears)
        self.model.attach(port, network, name=name, hears_floods=hears)
        return port

    @rule(target=ports, slot=st.integers(0, 2), network=NETWORKS)
    def attach_a_tap(self, slot: int, network: str) -> AccessPort:
        port = self.fabric.attach(slot, network=network, claim=OWN, own=frozenset())
        self.model.attach(port, network, is_tap=True)
        return port

    @rule(port=consumes(ports), for_good=st.booleans())
    def detach(self, port: AccessPort, for_good: bool) -> None:
        self.fabric.detach(port, release=for_good)
        self.model.detach(port, self.fabric.now, for_good=for_good)

    @rule(pause_s=PAUSES_S)
    def wait(self, pause_s: float) -> None:
        self.fabric.now += pause_s

    @rule(port=ports, source=MACS, destination=st.one_of(MACS, st.none()))
    def send(self, port: AccessPort, source: int, destination: int | None) -> None:
        group = BROADCAST if destination is None else mac(destination)
        self.exchange(port, frame(group, mac(source)))

    @rule(port=ports, source=MACS, times=st.integers(2, 3), pause_s=PAUSES_S)
    def insist(self, port: AccessPort, source: int, times: int, pause_s: float) -> None:
        for _ in range(times):
            self.exchange(port, frame(BROADCAST, mac(source)))
            self.fabric.now += pause_s

    @rule(port=ports, source=MACS, destinations=st.lists(MACS, max_size=6))
    def send_batch(self, port: AccessPort, source: int, destinations: list[int]) -> None:
        """Frames that come in together: no frame may take the way of the one before wrongly."""
        self.exchange(port, *[frame(mac(number), mac(source)) for number in destinations])

    def exchange(self, port: AccessPort, *frames: bytes) -> None:
        """Send `frames`, and compare what every port gets with what the model says."""
        self.fabric.now += 0.2
        self.fabric.send(port, *frames)
        expectation = self.model.forward(port, *frames, now=self.fabric.now)
        for other, expected in expectation.items():
            assert self.fabric.received(other) == expected

    @invariant()
    def the_table_names_only_live_ports(self) -> None:
        ids = {port.id for port in self.model.ports}
        entries = self.fabric.table.entries.values()
        assert {there.port_id for there in entries if there.is_somewhere} <= ids


TestSwitches = Switches.TestCase
TestSwitches.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
