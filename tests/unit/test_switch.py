"""The forwarding process, step by step (the numbers are those of vpnws/switch/forwarding.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import SOLICITATION, arp, frame, mac, neighbor
from vpnws.errors import CapacityError
from vpnws.switch.drop import Drop
from vpnws.switch.fdb import RECHECK_S
from vpnws.switch.guard.bucket import TokenBucket
from vpnws.switch.guard.destinations import AllowedDestinations, parse_destinations
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, Kind, Role
from vpnws.switch.guard.storm import DISCOVERY_PER_S
from vpnws.switch.known import REPLACE_IDLE_S, KnownMacs
from vpnws.switch.queue.flow import ITEM_BYTES
from vpnws.switch.recent import MISS_S
from vpnws.wire.ethernet import BROADCAST, ZERO

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

MULTICAST = b"\x01\x00\x5e\x00\x00\xfb"


def learn(fabric: Fabric, port: AccessPort, *numbers: int) -> None:
    """Have the switch learn MACs on `port`, and forget that it was flooded."""
    fabric.send(port, *(frame(BROADCAST, mac(number)) for number in numbers))
    for switch in fabric.switches:
        for network in switch.networks:
            for other in network.ports.values():
                fabric.received(other)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


class TestStep1Length:
    @pytest.mark.parametrize("size", [0, 1, 13, 1515, 9000])
    def test_too_short_or_too_long_is_dropped_and_counted(self, fabric: Fabric, size: int) -> None:
        port, other = fabric.attach(max_frame_bytes=1514), fabric.attach()
        fabric.send(port, frame(BROADCAST, mac(1), 9000)[:size])
        assert fabric.received(other) == []
        assert port.drops == {Drop.LENGTH: 1}

    @pytest.mark.parametrize("size", [14, 1514])
    def test_the_bounds_themselves_pass(self, fabric: Fabric, size: int) -> None:
        port, other = fabric.attach(max_frame_bytes=1514), fabric.attach()
        fabric.send(port, frame(BROADCAST, mac(1), size))
        assert [len(got) for got in fabric.received(other)] == [size]


class TestStep2Source:
    @pytest.mark.parametrize("source", [ZERO, BROADCAST, MULTICAST])
    def test_what_no_station_can_be_is_dropped(self, fabric: Fabric, source: bytes) -> None:
        port, other = fabric.attach(), fabric.attach()
        fabric.send(port, frame(BROADCAST, source))
        assert fabric.received(other) == []
        assert port.drops == {Drop.SOURCE: 1}


class TestStep3Reserved:
    @pytest.mark.parametrize("last", range(16))
    def test_reserved_groups_are_never_forwarded(self, fabric: Fabric, last: int) -> None:
        port, other = fabric.attach(), fabric.attach()
        fabric.send(port, frame(b"\x01\x80\xc2\x00\x00" + bytes((last,)), mac(1)))
        assert fabric.received(other) == []
        assert port.drops == {Drop.RESERVED: 1}

    def test_the_next_address_is_an_ordinary_multicast(self, fabric: Fabric) -> None:
        port, other = fabric.attach(), fabric.attach()
        fabric.send(port, frame(b"\x01\x80\xc2\x00\x00\x10", mac(1)))
        assert len(fabric.received(other)) == 1


class TestStep4Learn:
    def test_after_learning_unicast_goes_to_one_port_only(self, fabric: Fabric) -> None:
        ports = [fabric.attach(slot) for slot in (0, 0, 1, 1)]
        for number, port in enumerate(ports):
            learn(fabric, port, number)
        for i, ingress in enumerate(ports):
            for j, egress in enumerate(ports):
                if i == j:
                    continue
                fabric.send(ingress, frame(mac(j), mac(i)))
                assert len(fabric.received(egress)) == 1
                assert all(fabric.received(port) == [] for port in ports)

    def test_an_announced_mac_is_known_before_it_speaks(self, fabric: Fabric) -> None:
        a, b, c = (fabric.attach(slot) for slot in (0, 1, 1))
        fabric.switches[1].announce(b, mac(2), fabric.now)
        fabric.send(a, frame(mac(2), mac(1)))
        assert len(fabric.received(b)) == 1
        assert fabric.received(c) == []

    def test_a_mac_is_forgotten_after_the_ageing_time_and_flooded(self, fabric: Fabric) -> None:
        a, b, c = (fabric.attach(slot) for slot in (0, 1, 1))
        learn(fabric, b, 2)
        fabric.now += 301
        for switch in fabric.switches:
            switch.age(fabric.now)
        fabric.send(a, frame(mac(2), mac(1)))
        assert len(fabric.received(b)) == len(fabric.received(c)) == 1

    def test_a_station_that_speaks_does_not_age(self, fabric: Fabric) -> None:
        a, b, c = (fabric.attach(slot) for slot in (0, 1, 1))
        for _ in range(10):
            learn(fabric, b, 2)
            fabric.now += 200
            for switch in fabric.switches:
                switch.age(fabric.now)
        fabric.send(a, frame(mac(2), mac(1)))
        assert len(fabric.received(b)) == 1
        assert fabric.received(c) == []

    def test_the_shared_table_is_not_read_for_every_frame(self, fabric: Fabric) -> None:
        a, b = fabric.attach(0), fabric.attach(1)
        learn(fabric, a, 1)
        learn(fabric, b, 2)
        fabric.send(a, frame(mac(2), mac(1)))
        reads = fabric.table.reads
        fabric.send(a, *[frame(mac(2), mac(1))] * 500)
        fabric.send(a, *[frame(mac(99), mac(1))] * 500)
        assert fabric.table.reads - reads <= 3

    def test_a_flood_of_sources_costs_no_look_ups(self, fabric: Fabric) -> None:
        port = fabric.attach(station_limit=1)
        learn(fabric, port, 1)
        fabric.send(port, frame(BROADCAST, mac(2)))
        reads = fabric.table.reads
        fabric.send(port, *(frame(BROADCAST, mac(number)) for number in range(3, 1000)))
        assert fabric.table.reads == reads
        assert port.drops == {Drop.STATION_LIMIT: 998}

    def test_unknown_destinations_ask_the_shared_table_within_a_bound(self, fabric: Fabric) -> None:
        port, other = fabric.attach(0), fabric.attach(1)
        port.look_ups = TokenBucket(100, fabric.now)
        learn(fabric, port, 1)
        learn(fabric, other, 2)
        reads = fabric.table.reads
        fabric.send(port, *(frame(mac(number), mac(1)) for number in range(3, 1000)))
        at_home = sum(1 for _ in fabric.received(other))
        assert fabric.table.reads - reads <= 100 + at_home
        assert at_home == 997, "what is not looked up is flooded"
        fabric.now += 1.0
        fabric.send(port, frame(mac(2), mac(1)))
        assert len(fabric.received(other)) == 1

    def test_known_destinations_are_never_flooded_however_often_the_epoch_moves(
        self, fabric: Fabric
    ) -> None:
        """Anybody moves it by coming and going; a server with many peers must not pay for that."""
        server, other = fabric.attach(0, storm_limit=10), fabric.attach(1)
        server.look_ups = TokenBucket(100, fabric.now)
        learn(fabric, server, 1)
        peers = [fabric.attach(number % 2) for number in range(100)]
        for number, peer in enumerate(peers):
            learn(fabric, peer, number + 2)
        for _ in range(20):
            fabric.table.bump()
            fabric.send(server, *(frame(mac(number + 2), mac(1)) for number in range(len(peers))))
        assert {len(fabric.received(peer)) for peer in peers} == {20}
        assert fabric.received(other) == []
        assert not server.drops

    def test_the_station_limit_holds_and_is_counted(self, fabric: Fabric) -> None:
        port, other = fabric.attach(station_limit=2), fabric.attach()
        fabric.send(port, *(frame(BROADCAST, mac(number)) for number in range(1, 5)))
        assert len(fabric.received(other)) == 2
        assert port.drops == {Drop.STATION_LIMIT: 2}

    def test_a_guest_that_changes_its_mac_is_let_in_when_the_old_is_quiet(
        self, fabric: Fabric
    ) -> None:
        port, other = fabric.attach(station_limit=1), fabric.attach(1)
        learn(fabric, port, 1)
        fabric.send(port, frame(BROADCAST, mac(2)))
        assert fabric.received(other) == []
        fabric.now += REPLACE_IDLE_S
        fabric.send(port, frame(BROADCAST, mac(2)))
        assert len(fabric.received(other)) == 1
        assert fabric.stations(port) == {mac(2)}
        fabric.send(other, frame(mac(2), mac(3)))
        assert len(fabric.received(port)) == 1

    @pytest.mark.parametrize("gap_s", [0.0, REPLACE_IDLE_S / 1000])
    def test_new_macs_on_a_full_port_cost_few_looks_at_the_others(
        self, fabric: Fabric, monkeypatch: pytest.MonkeyPatch, gap_s: float
    ) -> None:
        """A LAN can bring thousands of MACs a second, at once or each when the next is quiet."""
        looks = 0
        replaceable_s = KnownMacs._replaceable_s

        def look(known: KnownMacs, mac: bytes) -> float:
            nonlocal looks
            looks += 1
            return replaceable_s(known, mac)

        monkeypatch.setattr(KnownMacs, "_replaceable_s", look)
        port = fabric.attach(station_limit=500)
        for number in range(500):
            fabric.send(port, frame(BROADCAST, mac(number + 1)))
            fabric.now += gap_s
        fabric.now += REPLACE_IDLE_S - 500 * gap_s
        for number in range(500, 1000):
            fabric.send(port, frame(BROADCAST, mac(number + 1)))
            fabric.now += gap_s
        new = {mac(number + 1) for number in range(500, 1000)}
        assert len(fabric.stations(port)) == 500
        assert len(fabric.stations(port) & new) > 100
        assert looks < 20 * 500

    def test_a_full_table_floods_and_serves_on(self, fabric: Fabric) -> None:
        fabric.table.max_entries = 1
        a, b, c, d = (fabric.attach(slot) for slot in (0, 1, 1, 0))
        learn(fabric, a, 1)
        learn(fabric, b, 2)
        fabric.send(a, frame(mac(2), mac(1)))
        assert [len(fabric.received(port)) for port in (b, c, d)] == [1, 1, 1]
        assert fabric.fdb(b).known.counts.refused == 1


class TestMove:
    def test_a_port_that_goes_leaves_no_black_hole(self, fabric: Fabric) -> None:
        a, b = fabric.attach(0), fabric.attach(1)
        learn(fabric, a, 1)
        learn(fabric, b, 2)
        fabric.send(a, frame(mac(2), mac(1)))
        fabric.detach(b)
        c = fabric.attach(1)
        fabric.send(a, frame(mac(2), mac(1)))
        assert len(fabric.received(c)) == 1, "unknown again, so flooded"
        assert fabric.table.entries.keys() == {("default", mac(1))}

    def test_knowledge_of_elsewhere_is_looked_up_again_in_time(self, fabric: Fabric) -> None:
        a, b = fabric.attach(0), fabric.attach(1)
        learn(fabric, a, 1)
        learn(fabric, b, 2)
        fabric.send(a, frame(mac(2), mac(1)))
        # The other process dies and is started again: the table forgets, nobody moves the epoch.
        fabric.table.delete("default", mac(2))
        c = fabric.attach(0)
        fabric.now += RECHECK_S
        fabric.send(a, frame(mac(2), mac(1)))
        assert len(fabric.received(c)) == 1

    def test_a_miss_is_remembered_only_for_a_moment(self, fabric: Fabric) -> None:
        a, b, c = fabric.attach(0), fabric.attach(1), fabric.attach(0)
        fabric.send(a, frame(mac(2), mac(1)))
        learn(fabric, b, 2)
        fabric.now += MISS_S
        fabric.send(a, frame(mac(2), mac(1)))
        assert fabric.received(c) == []
        assert len(fabric.received(b)) == 1


class TestPolicy:
    def test_a_frame_to_a_network_not_allowed_is_dropped_and_counted(self, fabric: Fabric) -> None:
        port, other = fabric.attach(), fabric.attach()
        port.destinations = AllowedDestinations(parse_destinations("10.1.0.0/16"))
        learn(fabric, other, 2)
        header = bytes.fromhex("4500001c 00000000 40110000 0a010001")
        allowed = mac(2) + mac(1) + b"\x08\x00" + header + bytes((10, 1, 2, 3)) + bytes(8)
        refused = mac(2) + mac(1) + b"\x08\x00" + header + bytes((10, 2, 2, 3)) + bytes(8)
        fabric.send(port, allowed, refused, allowed, refused)
        assert fabric.received(other) == [allowed, allowed]
        assert port.drops == {Drop.NOT_ALLOWED: 2}


@pytest.mark.parametrize("slot", [0, 1])
def test_groups_may_be_forbidden(slot: int) -> None:
    fabric = Fabric(no_broadcast=True, no_multicast=True)
    port, other = fabric.attach(0), fabric.attach(slot)
    fabric.send(port, frame(BROADCAST, mac(1)), frame(MULTICAST, mac(1)), frame(mac(9), mac(1)))
    assert fabric.received(other) == [frame(mac(9), mac(1))]
    assert port.drops == {Drop.NO_BROADCAST: 1, Drop.NO_MULTICAST: 1}


class TestStep5Classify:
    def test_unknown_unicast_is_flooded_and_not_back(self, fabric: Fabric) -> None:
        ports = [fabric.attach(slot) for slot in (0, 0, 1)]
        fabric.send(ports[0], frame(mac(77), mac(1)))
        assert [len(fabric.received(port)) for port in ports] == [0, 1, 1]

    def test_a_frame_for_its_own_port_is_filtered(self, fabric: Fabric) -> None:
        port, other = fabric.attach(), fabric.attach()
        learn(fabric, port, 1, 2)
        fabric.send(port, frame(mac(2), mac(1)))
        assert fabric.received(port) == fabric.received(other) == []
        assert port.drops == {Drop.FILTERED: 1}

    @pytest.mark.parametrize("group", [BROADCAST, MULTICAST, b"\x33\x33\x00\x00\x00\x01"])
    def test_groups_are_flooded(self, fabric: Fabric, group: bytes) -> None:
        ports = [fabric.attach(slot) for slot in (0, 0, 1, 1)]
        fabric.send(ports[1], frame(group, mac(1)))
        assert [len(fabric.received(port)) for port in ports] == [1, 0, 1, 1]

    def test_a_tagged_frame_passes_unchanged(self, fabric: Fabric) -> None:
        a, b = fabric.attach(0), fabric.attach(1)
        tagged = BROADCAST + mac(1) + bytes.fromhex("8100 6064 0800") + b"payload"
        fabric.send(a, tagged)
        assert fabric.received(b) == [tagged]


class TestStep6Storm:
    def test_a_storm_does_not_take_arp_and_nd_with_it(self, fabric: Fabric) -> None:
        port, other = fabric.attach(storm_limit=10), fabric.attach(1)
        video = frame(b"\x01\x00\x5e\x01\x02\x03", mac(1))
        ends = (mac(1), "10.0.0.1"), (ZERO, "10.0.0.2")
        needs = [
            arp(1, *ends, macs=BROADCAST + mac(1)),
            neighbor(SOLICITATION, "fd00::2", macs=MULTICAST + mac(1)),
        ]
        fabric.send(port, *[video] * 50)
        assert len(fabric.received(other)) == 10
        fabric.send(port, *(needs * 300))
        assert len(fabric.received(other)) == DISCOVERY_PER_S
        fabric.now += 0.1
        fabric.send(port, video, video, *needs)
        assert fabric.received(other) == [video, *needs]

    def test_a_storm_is_cut_and_counted_and_known_unicast_is_not(self, fabric: Fabric) -> None:
        port, other = fabric.attach(storm_limit=10), fabric.attach(1)
        learn(fabric, other, 2)
        fabric.send(port, *[frame(BROADCAST, mac(1))] * 50)
        assert len(fabric.received(other)) == 10
        assert port.drops == {Drop.STORM: 40}
        fabric.send(port, *[frame(mac(2), mac(1))] * 50)
        assert len(fabric.received(other)) == 50
        fabric.now += 0.5
        fabric.send(port, *[frame(mac(3), mac(1))] * 50)
        assert len(fabric.received(other)) == 5


class TestStep7Deliver:
    def test_networks_do_not_touch(self, fabric: Fabric) -> None:
        blue = [fabric.attach(slot, network="blue") for slot in (0, 1)]
        red = [fabric.attach(slot, network="red") for slot in (0, 1)]
        learn(fabric, red[0], 7)
        fabric.send(blue[0], frame(BROADCAST, mac(1)), frame(mac(7), mac(1)), frame(mac(8), mac(1)))
        assert [len(fabric.received(port)) for port in blue] == [0, 3]
        assert [len(fabric.received(port)) for port in red] == [0, 0]

    def test_the_same_mac_may_be_in_two_networks(self, fabric: Fabric) -> None:
        blue = [fabric.attach(slot, network="blue") for slot in (0, 1)]
        red = [fabric.attach(slot, network="red") for slot in (0, 1)]
        learn(fabric, blue[1], 1)
        learn(fabric, red[0], 1)
        fabric.send(blue[0], frame(mac(1), mac(2)))
        fabric.send(red[1], frame(mac(1), mac(2)))
        assert len(fabric.received(blue[1])) == len(fabric.received(red[0])) == 1

    @pytest.mark.parametrize("slot", [0, 1])
    def test_isolated_stations_reach_only_promiscuous_ports(
        self, fabric: Fabric, slot: int
    ) -> None:
        one = fabric.attach(0, role=ISOLATED)
        two = fabric.attach(slot, role=ISOLATED)
        uplink = fabric.attach(slot, role=PROMISCUOUS)
        learn(fabric, two, 2)
        fabric.send(one, frame(BROADCAST, mac(1)), frame(mac(2), mac(1)), frame(mac(9), mac(1)))
        assert fabric.received(two) == []
        assert len(fabric.received(uplink)) == 2
        fabric.send(uplink, frame(BROADCAST, mac(5)), frame(mac(1), mac(5)))
        assert [len(fabric.received(port)) for port in (one, two)] == [2, 1]

    def test_communities_keep_to_themselves(self, fabric: Fabric) -> None:
        red = [fabric.attach(slot, role=Role(Kind.COMMUNITY, "red")) for slot in (0, 1)]
        blue = fabric.attach(1, role=Role(Kind.COMMUNITY, "blue"))
        fabric.send(red[0], frame(BROADCAST, mac(1)))
        assert [len(fabric.received(port)) for port in (red[1], blue)] == [1, 0]

    def test_a_frame_from_a_trunk_does_not_go_to_a_trunk(self) -> None:
        fabric = Fabric(slots=3)
        ports = [fabric.attach(slot) for slot in range(3)]
        fabric.send(ports[0], frame(BROADCAST, mac(1)))
        assert [len(fabric.received(port)) for port in ports] == [0, 1, 1]


class TestStep8Queue:
    def test_a_full_queue_drops_its_own_frames_only(self, fabric: Fabric) -> None:
        port, slow, other = (
            fabric.attach(),
            fabric.attach(egress_limit_bytes=3 * (60 + ITEM_BYTES)),
            fabric.attach(),
        )
        fabric.send(port, *[frame(BROADCAST, mac(1), 60)] * 10)
        assert len(fabric.received(slow)) == 3
        assert slow.drops == {Drop.EGRESS_FULL: 7}
        assert len(fabric.received(other)) == 10

    def test_a_flood_writes_its_bytes_once(self, fabric: Fabric) -> None:
        ports = [fabric.attach() for _ in range(3)]
        fabric.send(ports[0], frame(BROADCAST, mac(1)))
        (one,), (two,) = fabric.received(ports[1]), fabric.received(ports[2])
        assert one is two


class TestBounds:
    def test_networks_are_bounded_and_go_with_their_last_port(self, fabric: Fabric) -> None:
        ports = [fabric.attach(network=f"n{number}") for number in range(8)]
        with pytest.raises(CapacityError):
            fabric.attach(network="one-more")
        fabric.detach(ports[0])
        fabric.attach(network="one-more")

    def test_local_knowledge_of_elsewhere_is_bounded(self) -> None:
        fabric = Fabric(fdb_limit=16)
        a, b = fabric.attach(0), fabric.attach(1, station_limit=15)
        learn(fabric, b, *range(2, 17))
        other = fabric.attach(1)
        learn(fabric, other, *range(20, 30))
        fabric.send(a, *(frame(mac(number), mac(1)) for number in range(2, 30)))
        assert len(fabric.fdb(a)) <= 16
