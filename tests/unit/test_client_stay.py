"""Another network and a sleep: what makes a connection stale, and what only looks as if it did."""

from __future__ import annotations

import ipaddress
import logging
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import becomes_readable
from vpnws.client.aside import Aside
from vpnws.client.stay.clock_steps import ClockSteps
from vpnws.client.stay.network import APART_S, SETTLE_S, NetworkWatch
from vpnws.client.stay.sleep import LOOK_EVERY_S, SLEEP_S, SleepWatch
from vpnws.client.stay.surroundings import (
    Surroundings,
    cable_is_back,
    connection_is_stale,
    look_around,
    may_connect_now,
)
from vpnws.errors import NetworkChangedError
from vpnws.tap.memory import MemoryEvents
from vpnws.tap.rtnetlink import NoEvents, open_network_events
from vpnws.tap.ways import DefaultRoute, Way, default_routes, has_address, way_to

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "203.0.113.7"


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


LAN = Way(2, packed("192.168.1.1"), packed("192.168.1.20"), "eth0")
WIFI = Way(3, packed("10.0.0.1"), packed("10.0.0.9"), "wlan0")
BY_LAN = DefaultRoute(4, 100, "eth0", "0101A8C0")
BY_WIFI = DefaultRoute(4, 600, "wlan0", "0100000A")
HOME = Surroundings(LAN, (BY_LAN,), has_cable=True)
AWAY = Surroundings(WIFI, (BY_WIFI,), has_cable=True)
NOWHERE = Surroundings(None)


class TestAConnection:
    """What has happened since it was made, and whether it is stale."""

    def test_is_not_stale_while_nothing_has_changed(self) -> None:
        assert connection_is_stale(HOME, HOME) == ""

    @pytest.mark.parametrize(
        ("now", "sentence"),
        [
            (AWAY, "the way to the server has changed: by wlan0 instead of eth0"),
            (
                replace(HOME, way=replace(LAN, gateway=packed("192.168.1.2"))),
                "the way to the server has changed: by another router on eth0",
            ),
            (
                replace(NOWHERE, has_source=False),
                "this machine has lost the address 192.168.1.20",
            ),
            (
                replace(HOME, defaults=(BY_WIFI,)),
                "this machine has another default route",
            ),
            (
                replace(HOME, way=None, defaults=(BY_WIFI,)),
                "this machine has another default route",
            ),
        ],
        ids=[
            *("device", "router", "address"),
            *("default route beside a pinned one", "default route after a pinned one"),
        ],
    )
    def test_is_stale(self, now: Surroundings, sentence: str) -> None:
        assert connection_is_stale(HOME, now) == sentence

    @pytest.mark.parametrize(
        "now",
        [
            NOWHERE,
            replace(HOME, way=None),
            replace(HOME, has_cable=False),
            replace(HOME, defaults=()),
            replace(HOME, defaults=(replace(BY_LAN, metric=7),)),
            replace(HOME, defaults=(BY_LAN, DefaultRoute(6, 1, "wlan0", "fe80"))),
            replace(HOME, way=replace(LAN, device="lan")),
            replace(HOME, way=replace(LAN, source=packed("192.168.1.21"))),
        ],
        ids=["nothing", "no way", "no cable", "no default", "metric", "IPv6", "renamed", "source"],
    )
    def test_may_go_on(self, now: Surroundings) -> None:
        assert connection_is_stale(HOME, now) == ""

    def test_to_a_server_on_the_own_link_needs_no_default_route(self) -> None:
        here = replace(HOME, way=replace(LAN, gateway=b""))
        assert connection_is_stale(here, replace(here, defaults=(BY_WIFI,))) == ""

    def test_whose_way_was_never_known_is_never_stale(self) -> None:
        assert connection_is_stale(NOWHERE, AWAY) == ""
        assert connection_is_stale(NOWHERE, replace(AWAY, has_source=False)) == ""


def test_an_attempt_is_worth_it_when_something_can_send_that_could_not() -> None:
    assert may_connect_now(NOWHERE, HOME)
    assert may_connect_now(replace(HOME, has_cable=False), HOME)
    assert may_connect_now(HOME, AWAY)
    assert not may_connect_now(HOME, HOME)
    assert not may_connect_now(HOME, NOWHERE)


def test_a_cable_is_back_once() -> None:
    assert cable_is_back(replace(HOME, has_cable=False), HOME)
    assert not cable_is_back(HOME, HOME)
    assert not cable_is_back(HOME, replace(HOME, has_cable=False))


class World:
    """A NetworkWatch whose surroundings the test sets; time is the test's."""

    def __init__(self) -> None:
        self.events = MemoryEvents()
        self.aside = Aside()
        self.now_s = 100.0
        self.surroundings = HOME
        self.asked: list[tuple[str, bytes, str]] = []
        self.watch = NetworkWatch(
            self.events, self.aside, lambda: self.now_s, lambda: "tap7", self._look
        )

    def change(self, surroundings: Surroundings | None = None) -> None:
        """Change the network, and let it settle. Raises what the watch raises."""
        if surroundings is not None:
            self.surroundings = surroundings
        self.events.tell()
        self.aside.serve(self.now_s)
        self.now_s = max(self.now_s, self.aside.next_at_s())
        self.aside.serve(self.now_s)

    def close(self) -> None:
        self.watch.close()
        self.aside.close()
        self.events.close()

    def _look(self, server: str, source: bytes, tap_name: str) -> Surroundings:
        self.asked.append((server, source, tap_name))
        return self.surroundings


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World()) as made:
        yield made


class TestTheWatch:
    def test_has_a_connection_made_anew_when_the_way_has_changed(self, world: World) -> None:
        world.watch.connected(SERVER)
        with pytest.raises(NetworkChangedError, match="by wlan0 instead of eth0"):
            world.change(AWAY)
        assert world.asked[-1] == (SERVER, LAN.source, "tap7")

    def test_disturbs_nothing_when_something_else_has_changed(self, world: World) -> None:
        world.watch.connected(SERVER)
        for _ in range(3):
            world.change()

    def test_compares_with_how_it_was_when_the_connection_was_made(self, world: World) -> None:
        world.watch.connected(SERVER)
        world.change(NOWHERE)
        world.change(HOME)
        world.change(NOWHERE)
        with pytest.raises(NetworkChangedError):
            world.change(AWAY)

    def test_looks_for_the_address_that_the_connection_was_made_from(self, world: World) -> None:
        world.watch.connected(SERVER)
        other = replace(HOME, way=replace(LAN, source=packed("192.168.1.21")))
        world.change(other)
        assert world.asked[-1] == (SERVER, LAN.source, "tap7")
        with pytest.raises(NetworkChangedError, match=r"lost the address 192\.168\.1\.20"):
            world.change(replace(other, has_source=False))

    def test_does_not_disturb_an_attempt_in_the_network_that_it_has_told_of(
        self, world: World
    ) -> None:
        world.watch.connected(SERVER)
        with pytest.raises(NetworkChangedError):
            world.change(AWAY)
        world.watch.lost()
        world.change(AWAY)

    def test_lets_a_change_settle_and_then_asks_once(self, world: World) -> None:
        world.watch.connected(SERVER)
        looks = len(world.asked)
        for _ in range(20):
            world.events.tell()
            world.aside.serve(world.now_s)
        assert len(world.asked) == looks
        assert world.aside.next_at_s() == world.now_s + SETTLE_S
        world.aside.serve(world.now_s + SETTLE_S)
        assert len(world.asked) == looks + 1
        world.aside.serve(world.now_s + 2 * SETTLE_S)
        assert len(world.asked) == looks + 1

    def test_wakes_a_station_that_waits_when_there_is_a_network_again(self, world: World) -> None:
        world.watch.connected(SERVER)
        world.watch.lost()
        world.change(NOWHERE)
        with pytest.raises(NetworkChangedError, match="the network has changed"):
            world.change(HOME)

    def test_wakes_a_station_that_was_never_connected(self, world: World) -> None:
        with pytest.raises(NetworkChangedError):
            world.change(AWAY)
        assert world.asked[-1] == ("", b"", "tap7")

    def test_has_a_flapping_network_try_once_a_second_at_most(self, world: World) -> None:
        started_s, raised = world.now_s, 0
        while world.now_s < started_s + 20 * APART_S:
            try:
                world.change(AWAY if world.surroundings is HOME else HOME)
            except NetworkChangedError:
                raised += 1
        assert 15 <= raised <= 21

    def test_has_the_server_asked_when_the_cable_is_back(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        world.watch.connected(SERVER)
        world.change(replace(HOME, has_cable=False))
        assert not world.aside.has_doubt
        world.change(HOME)
        assert world.aside.has_doubt
        assert any("the cable is back" in message for message in caplog.messages)

    def test_is_silent_where_nothing_can_be_heard(self) -> None:
        with closing(Aside()) as aside:
            watch = NetworkWatch(NoEvents(), aside, lambda: 0.0, lambda: "tap7")
            watch.connected(SERVER)
            watch.lost()
            watch.close()


class TestTheKernel:
    """What the kernel of this machine says of itself; nothing is sent."""

    def test_reaches_itself_by_its_loopback(self) -> None:
        way = way_to("127.0.0.1")
        assert way is not None
        assert (way.device, way.gateway) == ("lo", b"")
        assert way.source == packed("127.0.0.1")

    def test_has_no_way_by_a_device_that_is_not_there(self) -> None:
        assert way_to("fe80::1%nosuchdevice0") is None

    def test_knows_its_addresses(self) -> None:
        assert has_address(packed("127.0.0.1"))
        assert not has_address(packed("203.0.113.200"))

    def test_finds_the_default_routes_that_a_socket_would_use(self) -> None:
        by_version = {route.version: route for route in default_routes()}
        for version, address in ((4, "192.0.2.99"), (6, "2001:db8:ffff::1")):
            way = way_to(address)
            if way is not None and way.gateway and version in by_version:
                assert by_version[version].device == way.device

    def test_leaves_out_the_own_device(self) -> None:
        for route in default_routes():
            assert route not in default_routes(without=route.device)

    def test_is_looked_at_as_a_whole(self) -> None:
        now = look_around("127.0.0.1", packed("127.0.0.1"), "tap7")
        assert now.way is not None
        assert now.has_cable
        assert now.has_source
        assert look_around("127.0.0.1", b"", "lo").way is None
        assert look_around("", b"", "tap7").way is None

    def test_opens_its_events_without_privileges(self) -> None:
        with closing(open_network_events()) as events:
            events.drain()
            assert not becomes_readable(events.fd)


class TestASleep:
    def test_is_a_boot_clock_that_went_on_alone(self) -> None:
        slept_s = [5.0]
        with closing(MemoryEvents()) as steps, closing(Aside()) as aside:
            watch = SleepWatch(steps, aside, lambda: slept_s[0])
            watch.start(0.0)
            slept_s[0] += 3600.0
            steps.tell()
            with pytest.raises(NetworkChangedError, match="this machine slept for 3600 s"):
                aside.serve(0.0)
            aside.serve(1.0)
            watch.close()

    @pytest.mark.parametrize("step_s", [0.0, 0.001, SLEEP_S - 0.1])
    def test_is_no_step_of_the_wall_clock(self, step_s: float) -> None:
        slept_s = [5.0]
        with closing(MemoryEvents()) as steps, closing(Aside()) as aside:
            SleepWatch(steps, aside, lambda: slept_s[0]).start(0.0)
            slept_s[0] += step_s
            steps.tell()
            aside.serve(0.0)

    def test_is_looked_for_again_and_again_where_the_kernel_does_not_tell(self) -> None:
        slept_s = [0.0]
        with closing(Aside()) as aside:
            SleepWatch(None, aside, lambda: slept_s[0]).start(0.0)
            aside.serve(LOOK_EVERY_S)
            slept_s[0] += SLEEP_S
            with pytest.raises(NetworkChangedError):
                aside.serve(2 * LOOK_EVERY_S)
            aside.serve(3 * LOOK_EVERY_S)


def test_the_kernel_tells_of_no_step_while_the_clock_is_not_set() -> None:
    with closing(ClockSteps()) as steps:
        steps.drain()
        assert not becomes_readable(steps.fd)
