"""Which addresses the switch hears on its ports: where, for how long, and whom it believes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import DOT1Q, frame, mac, tagged
from tests.support.told_frames import (
    BROADCAST,
    acknowledges,
    advertises,
    announces_arp,
    answers_arp,
    asks_arp,
    gives_up,
    solicits,
)
from vpnws.switch import addresses
from vpnws.switch.addresses import (
    ADDRESS_AGE_S,
    MAX_ADDRESSES_PER_MAC,
    MAX_LOOKS_PER_S,
    MAX_NEWS,
    TOLD_AGAIN_S,
    AddressNews,
    Had,
    News,
)
from vpnws.switch.format import RECORDS
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS
from vpnws.wire.records import encode_record
from vpnws.wire.told import By

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

HOST, OTHER, SERVER = mac(1), mac(2), mac(3)
FOUR, LATER, SIX = "10.1.2.3", "10.6.6.6", "fd00::1:2"


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


def heard(fabric: Fabric, slot: int = 0, network: str = "default") -> dict[str, AccessPort]:
    """Return the ports by the addresses that the process at `slot` has heard there."""
    there = fabric.switches[slot].networks.by_name.get(network)
    return {str(ip_address(each.key[1])): each.port for each in there.addresses} if there else {}


def moves(fabric: Fabric, slot: int = 0) -> list[News]:
    """Take the news at `slot` and return those of addresses that have moved."""
    news = fabric.switches[slot].networks.address_news.take()
    return [each for each in news if each.before is not None]


class TestHearing:
    @pytest.mark.parametrize("offload", [False, True])
    def test_arp_and_nd_of_every_kind(self, fabric: Fabric, offload: bool) -> None:
        form = {"format_": RECORDS} if offload else {}
        port, other = fabric.attach(**form), fabric.attach(1)  # type: ignore[arg-type]
        fabric.send(other, frame(BROADCAST, OTHER))
        told = [
            asks_arp(HOST, "10.0.0.1"),
            answers_arp(HOST, "10.0.0.2", OTHER),
            announces_arp(HOST, "10.0.0.3"),
            solicits(HOST, "fd00::1"),
            advertises(HOST, "fd00::2", OTHER),
            advertises(HOST, "fd00::3"),
        ]
        fabric.send(port, *(encode_record(one) if offload else one for one in told))
        expected = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fd00::3"]
        assert heard(fabric) == dict.fromkeys(expected, port)
        assert heard(fabric, 1) == {}

    def test_several_in_one_train(self, fabric: Fabric) -> None:
        port = fabric.attach()
        fabric.send(port, *(announces_arp(HOST, f"10.0.0.{last}") for last in (1, 2, 3)))
        assert sorted(heard(fabric)) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

    def test_the_frame_is_forwarded_as_it_is(self, fabric: Fabric) -> None:
        port, other = fabric.attach(), fabric.attach()
        fabric.send(port, announces_arp(HOST, FOUR))
        assert fabric.received(other) == [announces_arp(HOST, FOUR)]

    def test_not_from_a_mac_that_is_refused(self, fabric: Fabric) -> None:
        fabric.send(fabric.attach(claim=b"alice..."), announces_arp(HOST, FOUR))
        fabric.send(fabric.attach(claim=b"bob....."), announces_arp(HOST, "10.0.0.66"))
        assert list(heard(fabric)) == [FOUR]

    def test_one_address_in_two_vlans_is_two(self, fabric: Fabric) -> None:
        first, second = fabric.attach(), fabric.attach()
        fabric.send(first, announces_arp(HOST, FOUR), tagged(announces_arp(HOST, FOUR), (DOT1Q, 5)))
        fabric.send(second, tagged(announces_arp(OTHER, FOUR), (DOT1Q, 6)))
        (network,) = fabric.switches[0].networks
        assert [(each.key[0], each.mac) for each in network.addresses] == [
            ((), HOST),
            ((5,), HOST),
            ((6,), OTHER),
        ]
        assert moves(fabric) == []

    def test_networks_are_apart(self, fabric: Fabric) -> None:
        red, blue = fabric.attach(network="red"), fabric.attach(network="blue")
        fabric.send(red, announces_arp(HOST, FOUR))
        fabric.send(blue, announces_arp(OTHER, FOUR))
        assert heard(fabric, network="red") == {FOUR: red}
        assert heard(fabric, network="blue") == {FOUR: blue}
        assert moves(fabric) == []


class TestDhcp:
    @pytest.fixture
    def client(self, fabric: Fabric) -> AccessPort:
        port = fabric.attach(1)
        fabric.send(port, frame(BROADCAST, HOST))
        return port

    @pytest.fixture
    def server(self, fabric: Fabric) -> AccessPort:
        return fabric.attach(role=PROMISCUOUS)

    @pytest.mark.parametrize("to", [HOST, BROADCAST])
    def test_an_ack_counts_where_the_client_is(
        self, fabric: Fabric, client: AccessPort, server: AccessPort, to: bytes
    ) -> None:
        fabric.send(server, acknowledges(HOST, FOUR, server=SERVER, to=to))
        assert heard(fabric, 1) == {FOUR: client}
        assert heard(fabric, 0) == {}

    def test_it_counts_until_the_lease_ends(
        self, fabric: Fabric, client: AccessPort, server: AccessPort
    ) -> None:
        fabric.send(server, acknowledges(HOST, FOUR, 100, server=SERVER))
        fabric.now += 99
        fabric.switches[1].age(fabric.now)
        assert heard(fabric, 1) == {FOUR: client}
        fabric.send(server, acknowledges(HOST, FOUR, 100, server=SERVER))
        fabric.now += 99
        fabric.switches[1].age(fabric.now)
        assert heard(fabric, 1) == {FOUR: client}
        fabric.now += 1
        fabric.switches[1].age(fabric.now)
        assert heard(fabric, 1) == {}

    def test_a_release_forgets_it(
        self, fabric: Fabric, client: AccessPort, server: AccessPort
    ) -> None:
        fabric.send(server, acknowledges(HOST, FOUR, server=SERVER))
        fabric.send(client, gives_up(HOST, "10.0.0.77", server=SERVER))
        assert heard(fabric, 1) == {FOUR: client}
        fabric.send(client, gives_up(HOST, FOUR, server=SERVER))
        assert heard(fabric, 1) == {}

    def test_nobody_else_can_release_it(
        self, fabric: Fabric, client: AccessPort, server: AccessPort
    ) -> None:
        fabric.send(server, acknowledges(HOST, FOUR, server=SERVER))
        fabric.send(fabric.attach(1), gives_up(OTHER, FOUR, server=SERVER))
        assert heard(fabric, 1) == {FOUR: client}

    def test_an_ack_that_the_roles_keep_away_counts_nothing(self, fabric: Fabric) -> None:
        client, liar = fabric.attach(1, role=ISOLATED), fabric.attach(role=ISOLATED)
        fabric.send(client, frame(BROADCAST, HOST))
        fabric.send(liar, acknowledges(HOST, FOUR, server=SERVER))
        assert heard(fabric, 1) == {}

    def test_what_a_host_says_of_itself_counts_more(
        self, fabric: Fabric, client: AccessPort, server: AccessPort
    ) -> None:
        gateway = fabric.attach(1)
        fabric.send(gateway, announces_arp(OTHER, FOUR))
        fabric.send(server, acknowledges(HOST, FOUR, server=SERVER))
        assert heard(fabric, 1) == {FOUR: gateway}
        assert moves(fabric, 1) == []
        fabric.send(client, announces_arp(HOST, FOUR))
        assert heard(fabric, 1) == {FOUR: client}

    def test_a_client_that_nobody_knows_has_none(self, fabric: Fabric, server: AccessPort) -> None:
        fabric.attach()
        fabric.send(server, acknowledges(mac(77), FOUR, server=SERVER, to=BROADCAST))
        assert heard(fabric) == {}


class TestForgetting:
    def test_an_address_that_is_silent_for_long(self, fabric: Fabric) -> None:
        port = fabric.attach(claim=b"alice...")
        fabric.send(port, announces_arp(HOST, FOUR))
        fabric.now += ADDRESS_AGE_S / 2
        fabric.send(port, announces_arp(HOST, LATER))
        fabric.now += ADDRESS_AGE_S / 2
        fabric.switches[0].age(fabric.now)
        assert heard(fabric) == {LATER: port}

    def test_with_its_port(self, fabric: Fabric) -> None:
        port, _stays = fabric.attach(), fabric.attach()
        fabric.send(port, announces_arp(HOST, FOUR))
        fabric.detach(port)
        assert heard(fabric) == {}

    def test_with_its_mac(self, fabric: Fabric) -> None:
        port = fabric.attach()
        fabric.send(port, announces_arp(HOST, FOUR), solicits(OTHER, SIX))
        assert fabric.fdb(port).flush(HOST)
        assert heard(fabric) == {SIX: port}
        fabric.switches[0].age(fabric.now)
        assert len(list(fabric.switches[0].networks.of(port.origin).addresses)) == 1

    def test_the_ports_oldest_when_it_has_too_many(self, fabric: Fabric) -> None:
        port, other = fabric.attach(station_limit=2), fabric.attach()
        fabric.send(other, announces_arp(OTHER, "10.2.0.1"))
        limit = 2 * MAX_ADDRESSES_PER_MAC
        ips = [f"10.1.0.{last}" for last in range(limit + 1)]
        for ip in (*ips[:limit], ips[0], ips[limit]):
            fabric.send(port, announces_arp(HOST, ip))
        assert set(heard(fabric)) == {*ips, "10.2.0.1"} - {ips[1]}

    def test_the_networks_oldest_when_it_has_too_many(
        self, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(addresses, "MAX_ADDRESSES", 3)
        first, second = fabric.attach(), fabric.attach()
        for last in range(3):
            fabric.send(first, announces_arp(HOST, f"10.1.0.{last}"))
        fabric.send(second, announces_arp(OTHER, "10.2.0.1"))
        assert list(heard(fabric)) == ["10.1.0.1", "10.1.0.2", "10.2.0.1"]

    def test_a_flood_of_them_is_not_all_read(self, fabric: Fabric) -> None:
        port = fabric.attach()
        fabric.send(port, *(announces_arp(HOST, FOUR) for _ in range(MAX_LOOKS_PER_S)))
        fabric.send(port, announces_arp(HOST, "10.0.0.66"))
        assert FOUR not in heard(fabric), "it is a long train"
        for _ in range(MAX_LOOKS_PER_S):
            fabric.send(port, announces_arp(HOST, FOUR))
        fabric.send(port, announces_arp(HOST, "10.0.0.67"))
        assert sorted(heard(fabric)) == ["10.0.0.66", FOUR]


class TestMoves:
    def test_to_another_mac(self, fabric: Fabric) -> None:
        first, second = fabric.attach(), fabric.attach()
        fabric.send(first, announces_arp(HOST, FOUR))
        fabric.send(second, announces_arp(OTHER, FOUR))
        assert heard(fabric) == {FOUR: second}
        key = (), ip_address(FOUR).packed
        assert moves(fabric) == [News("default", key, OTHER, By.ARP, Had(HOST, first.id))]
        assert moves(fabric) == []

    def test_to_another_process(self, fabric: Fabric) -> None:
        here, there = fabric.attach(0), fabric.attach(1)
        fabric.send(here, advertises(HOST, SIX))
        fabric.send(there, advertises(OTHER, SIX))
        assert heard(fabric, 0) == {}
        assert heard(fabric, 1) == {SIX: there}
        key = (), ip_address(SIX).packed
        assert moves(fabric, 0) == [News("default", key, OTHER, By.ND, Had(HOST, here.id))]
        assert moves(fabric, 1) == []

    def test_nothing_moves_from_a_port_that_has_gone(self, fabric: Fabric) -> None:
        first, second = fabric.attach(), fabric.attach()
        fabric.send(first, announces_arp(HOST, FOUR))
        fabric.detach(first)
        assert heard(fabric) == {}
        fabric.send(second, announces_arp(HOST, FOUR))
        assert heard(fabric) == {FOUR: second}
        assert moves(fabric) == []

    def test_a_new_one_is_told_once(self, fabric: Fabric) -> None:
        port = fabric.attach()
        for _ in range(3):
            fabric.send(port, announces_arp(HOST, FOUR))
        key = (), ip_address(FOUR).packed
        news = fabric.switches[0].networks.address_news
        assert news.take() == [News("default", key, HOST, By.ARP)]
        fabric.fdb(port).flush(HOST)
        fabric.switches[0].age(fabric.now)
        fabric.send(port, announces_arp(HOST, FOUR))
        assert news.take() == []

    def test_two_that_want_one_address_fill_no_log(self, fabric: Fabric) -> None:
        first, second = fabric.attach(), fabric.attach()
        for _ in range(10):
            fabric.send(first, announces_arp(HOST, FOUR))
            fabric.send(second, announces_arp(OTHER, FOUR))
        assert len(moves(fabric)) == 1
        fabric.now += TOLD_AGAIN_S
        fabric.send(first, announces_arp(HOST, FOUR))
        assert len(moves(fabric)) == 1

    def test_more_than_can_wait_are_counted(self) -> None:
        many = AddressNews()
        for number in range(MAX_NEWS + 5):
            key = (), number.to_bytes(4, "big")
            many.note(News("default", key, OTHER, By.ARP), 0.0)
        assert many.lost == 5
        assert len(many.take()) == MAX_NEWS
