"""A whole server against a slow model of one switch: each frame reaches just who it should."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.fakes.house import House
from tests.fakes.station import Station
from tests.fakes.wire import Wire
from tests.support.frames import frame, mac
from tests.support.reference_switch import ReferenceSwitch
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 200
APART_S = 11.0
"""Longer than any memory of a miss, and than the wait after a challenge."""
NETWORKS = ("blue", "red")
MOST_STATIONS = 8
LAN = "lan"
"""The TAP's port, which is in the first network."""
LAN_MACS = (mac(100), mac(101))
STATION_MACS = tuple(mac(number) for number in range(1, 5))
SETTINGS = {"age": "1000000", "station-limit": "100", "storm-limit": "0"}


class Run:
    """One seeded run: events on a server and on the model, compared after each."""

    def __init__(self, seed: int, receiver: str) -> None:
        self.random = random.Random(seed)
        settings = {**SETTINGS, "receiver": receiver}
        self.house = House(seed=seed, tap="blue:vpn0", settings=settings)
        self.model: ReferenceSwitch[Station | str] = ReferenceSwitch()
        self.model.attach(LAN, NETWORKS[0], is_tap=True)
        self.frames_expected = 0

    def step(self) -> None:
        """Do one thing, and compare what everyone has received."""
        self.house.loop.advance(APART_S)
        events: list[Callable[[], None]] = [self.attach, self.leave, self.replace_a_worker]
        kinds = [self.speak, self.speak_from_the_lan, *events]
        self.random.choices(kinds, weights=[70, 10, 12, 5, 3])[0]()

    def stations(self) -> list[Station]:
        return [port for port in self.model.ports if isinstance(port, Station)]

    def attach(self) -> None:
        if len(self.stations()) == MOST_STATIONS:
            return
        worker = self.random.choice([1, 2])
        network = self.random.choice(NETWORKS)
        # Of its own: how many pieces a write is cut into must not decide what happens next.
        chooser = random.Random(self.random.random())
        wire = Wire(self.house.loop, chooser=chooser, delay_s=self.random.choice([0.0, 0.2]))
        offload = self.random.random() < 0.5
        station = self.house.connect(worker, network=network, offload=offload, wire=wire)
        self.house.loop.advance(1.0)
        assert station.status.startswith("101")
        self.model.attach(station, network)

    def leave(self) -> None:
        if self.stations():
            station = self.random.choice(self.stations())
            self.random.choice([station.leave, station.hang_up, station.wire.break_off])()
            self.house.loop.advance(3.0)
            self.model.detach(station, self.house.loop.now())

    def replace_a_worker(self) -> None:
        worker = self.random.choice([1, 2])
        self.house.kill(worker)
        self.house.start(worker)
        self.house.loop.advance(1.0)
        for station in self.stations():
            if station.worker == worker:
                assert station.is_hung_up
                self.model.detach(station, self.house.loop.now())

    def speak(self) -> None:
        if self.stations():
            station = self.random.choice(self.stations())
            frames = self.some_frames(STATION_MACS)
            station.send(*frames)
            self.compare(station, frames)

    def speak_from_the_lan(self) -> None:
        frames = self.some_frames(LAN_MACS)
        for one in frames:
            self.house.devices.opened("vpn0").host_send(one)
        self.compare(LAN, frames)

    def some_frames(self, sources: tuple[bytes, ...]) -> list[bytes]:
        """Return frames of one source that come in together."""
        source = self.random.choice(sources)
        goals = [*STATION_MACS, *LAN_MACS, BROADCAST]
        sizes = (60, 200, 1514)
        return [
            frame(self.random.choice(goals), source, self.random.choice(sizes))
            for _ in range(self.random.randint(1, 6))
        ]

    def compare(self, ingress: Station | str, frames: list[bytes]) -> None:
        now = self.house.loop.now()
        self.house.loop.advance(1.0)
        for port, expected in self.model.forward(ingress, *frames, now=now).items():
            got = port.received() if isinstance(port, Station) else self.received_by_the_lan()
            assert got == expected
            self.frames_expected += len(expected)

    def received_by_the_lan(self) -> list[bytes]:
        tap = self.house.devices.opened("vpn0")
        got = []
        while True:
            try:
                got.append(tap.host_receive()[10:])
            except TimeoutError:
                return got


@pytest.mark.parametrize("receiver", ["stream", "native"])
@pytest.mark.parametrize("seed", range(4))
def test_each_frame_reaches_just_who_it_should(seed: int, receiver: str) -> None:
    run = Run(seed, receiver)
    with run.house:
        for _ in range(EVENTS):
            run.step()
    assert run.frames_expected > EVENTS / 2, "hardly a frame had anybody to go to"
