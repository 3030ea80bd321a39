"""What a trace says of a frame is what happens to the next frame, in a whole server."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import frame, mac
from vpnws.switch.drop import Drop
from vpnws.wire.ethernet import BROADCAST, format_mac, parse_mac
from vpnws.wire.probe import message, parse_ether, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.station import Station

SEEDS = range(6)
STEPS = 120
MOST_STATIONS = 7
SETTINGS = {"storm-limit": "1", "station-limit": "2", "age": "60"}
MACS = tuple(mac(number) for number in range(1, 6))
GROUPS = (BROADCAST, bytes.fromhex("01005e000001"), bytes.fromhex("0180c2000000"))
ROLES = ("", "", "", "isolated", "promiscuous", "community:x")
ETHERS = ("ipv4", "ipv4", "arp", "nd", "0x88b5")


class Run:
    """One seeded run: every frame is traced, then sent, and both are compared."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        forbidden = {
            "no-multicast": choose(("on", "off")),
            "no-broadcast": choose(("on", *3 * ("off",))),
        }
        settings = {**SETTINGS, **forbidden}
        self.house = House(seed=seed, tap="blue:vpn0", settings=settings)
        self.stations: dict[str, Station] = {}
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def step(self) -> None:
        self.house.loop.advance(self.random.choice((0.0, 0.1, 0.3, 1.5, 11.0)))
        kinds: list[Callable[[], None]] = [self.compare, self.attach, self.speak]
        kinds += [self.leave, self.block]
        self.random.choices(kinds, weights=(60, 15, 15, 5, 5))[0]()

    def attach(self) -> None:
        if len(self.stations) == MOST_STATIONS:
            return
        choose = self.random.choice
        variables: dict[str, Any] = {"REMOTE_USER": choose(("", "ada", "bob"))}
        if choose((True, True, False)):
            variables["HTTP_X_VPN_WS_MAC"] = format_mac(choose(MACS))
        if role := choose(ROLES):
            variables["VPNWS_ROLE"] = role
        if choose((True, False, False, False)):
            variables["VPNWS_ALLOW"] = "10.0.0.0/8"
        worker = choose((1, 2))
        station = self.house.connect(
            worker,
            network=choose(("blue", "blue", "red")),
            offload=choose((True, False)),
            has_spoken=choose((True, False)),
            **variables,
        )
        port = list(self.house.processes[worker].node.links.values())[-1].port
        self.stations[f"{worker}.{port.id & 0xFFFFFFFF}"] = station

    def leave(self) -> None:
        if self.stations:
            station = self.stations.pop(self.random.choice(list(self.stations)))
            self.random.choice((station.leave, station.hang_up))()

    def block(self) -> None:
        if self.stations:
            port = self.random.choice(list(self.stations))
            change = self.random.choice(("block", "unblock", "unblock"))
            body = {} if change == "unblock" else {"reason": "a test"}
            Operator(self.house).change("POST", f"ports/{port}/{change}", body or None)

    def speak(self) -> None:
        if self.stations:
            station = self.random.choice(list(self.stations.values()))
            goal, source = self.random.choice((*MACS, *GROUPS)), self.random.choice(MACS)
            station.send(frame(goal, source))

    def compare(self) -> None:
        """Trace a frame from a port to somewhere, send it, and compare."""
        if not self.stations:
            return
        source = self.random.choice(list(self.stations))
        goals = [*self.stations, "vpn0", *map(format_mac, (*MACS, *GROUPS)), "nobody"]
        destination, ether = self.random.choice(goals), self.random.choice(ETHERS)
        asked = {"from": source, "to": destination, "ether": ether}
        worker = self.random.choice((1, 2))
        view = Operator(self.house, worker).get("trace", urlencode(asked))
        a, b = view["source"], view["destination"]
        assert a["port"] == source
        assert view["missing"] == []
        self.outcomes[view["there"]["outcome"]] += 1
        if a["mac"] and b["mac"]:
            self.send(source, self.frame(view), view)

    def frame(self, view: Any) -> bytes:
        ether = parse_ether(view["ether"])
        source, destination = (
            parse_mac(view["source"]["mac"]),
            parse_mac(view["destination"]["mac"]),
        )
        assert source is not None
        assert destination is not None
        # Where VPNWS_ALLOW bounds a station, the trace says what an allowed address would meet.
        if ether.is_question and not destination[0] & 1:
            return question(ether, source, "", 60)
        to_ip = "" if destination[0] & 1 else "10.0.0.0"
        return message(ether, source, destination, to_ip, 60)

    def send(self, source: str, one: bytes, view: Any) -> None:
        there = view["there"]
        self.received()
        before = self.drops()
        self.stations[source].send(one)
        self.house.loop.settle()
        got = {port for port, frames in self.received().items() if one in frames}
        dropped = {reason for reason, count in (self.drops() - before).items() if count}
        assert got == set(there["ports"]), view
        assert there["port_count"] == len(got)
        if there["outcome"] == "dropped":
            self.reasons[there["reason"]] += 1
            assert Drop(there["reason"]) in dropped, view
        else:
            # A process without a port in the network drops what is flooded to it.
            assert dropped <= {Drop.FILTERED}, view
        reached = view["destination"]["port"] in got
        assert (
            reached == (there["outcome"] in ("delivered", "flooded"))
            or not view["destination"]["port"]
        )

    def received(self) -> dict[str, list[bytes]]:
        tap = self.house.devices.opened("vpn0")
        lan = []
        while True:
            try:
                lan.append(tap.host_receive()[10:])
            except TimeoutError:
                break
        return {"3.1": lan, **{port: one.received() for port, one in self.stations.items()}}

    def drops(self) -> Counter[Drop]:
        counts: Counter[Drop] = Counter()
        for number in (1, 2):
            switch = self.house.processes[number].node.switch
            ports = [port for network in switch.networks for port in network.ports.values()]
            for port in (*ports, *switch.trunks.values()):
                counts += port.drops
        return counts


def test_what_a_trace_says_happens() -> None:
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in SEEDS:
        run = Run(seed)
        with run.house:
            for _ in range(STEPS):
                run.step()
        outcomes += run.outcomes
        reasons += run.reasons
    assert set(outcomes) == {"delivered", "flooded", "dropped", "elsewhere", "unknown"}
    assert len(reasons) >= 8, reasons
