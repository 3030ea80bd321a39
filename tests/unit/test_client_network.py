"""What a station wants of this machine's network, at each step of its life."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.fakes.janitor import FakeJanitor
from vpnws.client.connect.url import parse_url
from vpnws.client.janitor.changes import Address, Mtu, NameServers, Route, Switch
from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.messages import Call, KeepPins, PinOne, Want
from vpnws.client.life import Link
from vpnws.client.settings import ClientSettings, NetworkSettings
from vpnws.client.system.caution import Caution
from vpnws.client.system.near import Near
from vpnws.client.system.network import ADDRESS_S, GATEWAY_S, Network
from vpnws.client.system.powers import powers_of
from vpnws.client.system.resolvers import name_servers
from vpnws.client.system.wanted import HALVES, Wanted
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.errors import ConnectError, JanitorError, TapError, TapPermissionError
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "203.0.113.5"
URL = parse_url("wss://alice:secret@vpn.example.org/vpn?token=secret")
LINK = Link(URL, SERVER, "tap0", bytes.fromhex("02000000000a"), has_offload=True, fd=-1)
LOST = ConnectError("the server closed the connection: 1012 (restart)")
OWN = Address("10.8.0.2/24")
GUARDS = (Switch("accept_ra_defrtr", 0), Switch("accept_ra_rt_info_max_plen", 0))
ALL = NetworkSettings(default_route=True, gateways=("10.8.0.1",), dns=("10.8.0.1",))
ALL_ROUTES = tuple(Route(half, "10.8.0.1") for half in HALVES[4])
RESOLVER = "192.0.2.53"
NEAR = [Near(IPv4Network("192.168.1.0/24"), "eth0")]


class Bed:
    """A Network with a janitor in memory and a clock that the test moves."""

    def __init__(self, network: NetworkSettings, *addresses: str, bridge: str = "") -> None:
        settings = ClientSettings("tap0", URL, bridge=bridge, addresses=addresses, network=network)
        self.now = time.monotonic()
        self.stop = StopRequest()
        self.waiter = Waiter(self.stop, lambda: self.now)
        self.janitor = FakeJanitor()
        self.network = Network(
            settings,
            "tap0",
            self.janitor,  # type: ignore[arg-type]
            self.waiter,
            lambda: [RESOLVER],
            lambda _: [4, 6],
            Caution(settings, "tap0", lambda _: NEAR),
        )

    def begin(self) -> Bed:
        self.network.begin()
        return self

    def close(self) -> None:
        if not self.janitor.is_closed:
            self.network.ended("stopped")
        self.waiter.close()
        self.stop.close()


@pytest.fixture
def beds() -> Iterator[list[Bed]]:
    made: list[Bed] = []
    yield made
    for bed in made:
        bed.janitor.is_gone = False
        bed.close()


@pytest.fixture
def bed(beds: list[Bed]) -> Bed:
    """Return a station that leads everything through the VPN."""
    beds.append(Bed(ALL, "10.8.0.2/24"))
    return beds[0].begin()


class TestBegin:
    def test_it_gives_the_device_what_it_needs_before_a_frame_comes(self, bed: Bed) -> None:
        assert bed.janitor.asked == [
            Want((OWN,)),
            Want((Switch("accept_ra_defrtr", 1), Switch("ra_defrtr_metric", 512), OWN)),
        ]

    def test_what_is_less_than_an_address_does_not_end_it(
        self, beds: list[Bed], caplog: pytest.LogCaptureFixture
    ) -> None:
        beds.append(bed := Bed(NetworkSettings(), "10.8.0.2/24"))
        bed.janitor.fails[Switch] = ChangeError("cannot set it", lacks_permission=True)
        bed.begin()
        assert "cannot set it" in caplog.text

    @pytest.mark.parametrize(("lacks", "kind"), [(True, TapPermissionError), (False, TapError)])
    def test_an_address_that_cannot_be_given_ends_the_program(
        self,
        beds: list[Bed],
        lacks: bool,
        kind: type[TapError],
    ) -> None:
        beds.append(bed := Bed(NetworkSettings(), "10.8.0.2/24"))
        bed.janitor.fails[Address] = ChangeError("cannot give it", lacks_permission=lacks)
        with pytest.raises(kind, match="cannot give it"):
            bed.begin()

    def test_a_system_that_hangs_is_not_waited_for_for_ever(
        self, beds: list[Bed], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vpnws.client.system.network.BEGIN_S", 0.0)
        beds.append(bed := Bed(NetworkSettings(), "10.8.0.2/24"))
        bed.janitor.is_slow = True
        with pytest.raises(TapError, match="does not answer in time"):
            bed.begin()

    def test_a_bridge_takes_no_part_in_router_advertisements(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(), bridge="br0"))
        assert bed.begin().janitor.wanted == ()


class TestPins:
    def test_what_would_leave_through_the_device_is_pinned_before_it_is_dialed(
        self, bed: Bed
    ) -> None:
        for address in (SERVER, "2001:db8::5", "127.0.0.1", "fe80::1%eth0", "10.8.0.9"):
            bed.waiter.before_connect(address)
        # There is no gateway for IPv6, so nothing of it leaves through the device.
        assert bed.janitor.pinned == [SERVER, "10.8.0.9"]

    def test_a_route_is_enough_to_need_it(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(routes=(("203.0.113.0/24", ""),))))
        bed.begin()
        bed.waiter.before_connect(SERVER)
        bed.waiter.before_connect("198.51.100.7")
        assert bed.janitor.pinned == [SERVER]

    def test_a_connection_keeps_its_own_only(self, bed: Bed) -> None:
        bed.network.connected(LINK)
        keep, pin, want, call = bed.janitor.asked[2:]
        assert (keep, pin) == (KeepPins((SERVER,)), PinOne(SERVER))
        assert isinstance(want, Want)
        assert isinstance(call, Call)

    def test_an_offered_route_to_the_server_is_pinned_first(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(), "10.8.0.2/24"))
        bed.begin().network.connected(LINK)
        bed.network.apply("server", Offer(routes=("203.0.113.0/24",)))
        assert bed.janitor.asked[-2:] == [
            PinOne(SERVER),
            Want((*GUARDS, OWN, Route("203.0.113.0/24"))),
        ]


class TestConnection:
    def test_names_are_looked_up_in_the_vpn_while_it_is_there(self, bed: Bed) -> None:
        assert not any(isinstance(each, NameServers) for each in bed.janitor.wanted)
        bed.network.connected(LINK)
        assert bed.janitor.wanted[-3:] == (*ALL_ROUTES, NameServers(("10.8.0.1",)))
        bed.network.lost(LOST, 0.5)
        assert bed.janitor.wanted[-2:] == ALL_ROUTES
        # And the name server of before must be reached without the VPN.
        assert bed.janitor.pinned[-1] == RESOLVER

    def test_a_failed_attempt_changes_nothing(self, bed: Bed) -> None:
        before = list(bed.janitor.asked)
        bed.network.lost(LOST, 0.5)
        assert bed.janitor.asked == before

    def test_the_end_is_the_janitors(self, bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
        bed.network.connected(LINK)
        bed.janitor.last_words.append("/etc/resolv.conf was changed meanwhile")
        bed.network.ended("stopped")
        assert bed.janitor.is_closed
        assert bed.janitor.calls[-1] == (False, "stopped")
        assert "was changed meanwhile" in caplog.text

    def test_a_janitor_that_is_gone_ends_the_program(self, bed: Bed) -> None:
        bed.janitor.is_gone = True
        with pytest.raises(JanitorError):
            bed.network.connected(LINK)

    def test_each_trouble_is_said_once(self, bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
        bed.janitor.fails[Route] = ChangeError("cannot route it")
        for _ in range(3):
            bed.network.connected(LINK)
            bed.janitor.tell("the command of --exec failed: status 1")
            bed.waiter.aside.serve(bed.now)
            bed.network.lost(LOST, 0.5)
        assert caplog.text.count("cannot route it") == 1
        assert caplog.text.count("the command of --exec failed: status 1") == 1


class TestOffers:
    def test_another_offer_takes_the_place_of_the_one_before(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings()))
        bed.begin().network.connected(LINK)
        first = Offer(address=("10.8.0.5/24",), routes=("10.9.0.0/16 via 10.8.0.1",), mtu=1400)
        bed.network.apply("server", first)
        assert bed.janitor.wanted[2:] == (
            *(Mtu(1400), Address("10.8.0.5/24"), Route("10.9.0.0/16", "10.8.0.1")),
        )
        assert bed.network.addresses == ("10.8.0.5/24",)
        bed.network.apply("server", Offer(address=("10.8.0.6/24",)))
        assert bed.janitor.wanted[2:] == (Address("10.8.0.6/24"),)

    def test_the_same_offer_again_is_nothing(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings()))
        bed.begin().network.connected(LINK)
        offer = Offer(address=("10.8.0.5/24",))
        bed.network.apply("server", offer)
        asked = len(bed.janitor.asked)
        bed.network.apply("server", replace(offer, notice="welcome"))
        assert len(bed.janitor.asked) == asked

    def test_what_would_take_over_the_machine_is_left_out_and_said(
        self, beds: list[Bed], caplog: pytest.LogCaptureFixture
    ) -> None:
        beds.append(bed := Bed(NetworkSettings(accept=("address", "mtu"))))
        bed.begin().network.connected(LINK)
        for source in ("server", "dhcp"):
            bed.network.apply(source, Offer(address=("192.168.1.1/24", "203.0.113.9/24")))
            assert bed.network.addresses == ()
        assert "192.168.1.0/24 is reached through eth0" in caplog.text
        bed.network.apply("server", Offer(address=("203.0.113.9/24",)))
        assert f"{SERVER} is reached without the VPN" in caplog.text

    def test_a_subnet_that_the_server_is_in_is_pinned_too(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(), "203.0.113.9/24"))
        bed.begin().waiter.before_connect(SERVER)
        bed.network.connected(LINK)
        assert bed.janitor.pinned == [SERVER, SERVER]

    def test_two_sources_add_up(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(), "10.8.0.2/24"))
        bed.begin()
        bed.network.apply("server", Offer(address=("fd08::5/64",)))
        bed.network.apply("dhcp", Offer(address=("10.8.0.7/24",)))
        assert list(bed.network.addresses) == ["10.8.0.2/24", "fd08::5/64", "10.8.0.7/24"]
        bed.network.apply("dhcp", Offer())
        assert list(bed.network.addresses) == ["10.8.0.2/24", "fd08::5/64"]

    def test_routes_by_a_gateway_wait_for_the_address_that_the_server_gives(
        self, beds: list[Bed]
    ) -> None:
        routes = (("10.9.0.0/16", "10.8.0.1"), ("10.7.0.0/16", ""))
        beds.append(bed := Bed(NetworkSettings(routes=routes)))
        bed.begin().network.connected(LINK)
        assert Route("10.7.0.0/16") in bed.janitor.wanted
        assert Route(*routes[0]) not in bed.janitor.wanted
        bed.network.apply("server", Offer(address=("10.8.0.5/24",)))
        assert Route(*routes[0]) in bed.janitor.wanted

    def test_without_an_address_they_are_tried_a_little_later(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings(routes=(("10.9.0.0/16", "10.8.0.1"),))))
        bed.begin().network.connected(LINK)
        bed.now += ADDRESS_S
        bed.waiter.aside.serve(bed.now)
        assert Route("10.9.0.0/16", "10.8.0.1") in bed.janitor.wanted
        bed.network.lost(ConnectError("gone"), 0.5)
        assert Route("10.9.0.0/16", "10.8.0.1") in bed.janitor.wanted

    def test_an_offered_default_route_is_a_gateway_where_one_is_asked_for(self) -> None:
        offer = Offer(address=("10.8.0.5/24",), routes=("0.0.0.0/0 via 10.8.0.9",))
        for is_asked, routes in (
            (False, ()),
            (True, tuple(Route(half, "10.8.0.9") for half in HALVES[4])),
        ):
            network = NetworkSettings(default_route=is_asked)
            settings = ClientSettings("tap0", URL, network=network)
            assert Wanted(settings, {"server": offer}).routes == routes

    def test_the_gateway_of_the_options_counts_most(self) -> None:
        settings = ClientSettings("tap0", URL, addresses=("10.8.0.2/24",), network=ALL)
        offer = Offer(routes=("0.0.0.0/0 via 10.8.0.9",))
        assert Wanted(settings, {"server": offer}).routes == ALL_ROUTES

    def test_without_a_gateway_it_says_what_it_waits_for(
        self, beds: list[Bed], caplog: pytest.LogCaptureFixture
    ) -> None:
        beds.append(bed := Bed(NetworkSettings(default_route=True), "10.8.0.2/24"))
        bed.begin().network.connected(LINK)
        assert caplog.text == ""
        bed.now += GATEWAY_S
        bed.waiter.aside.serve(bed.now)
        assert "--default-route waits" in caplog.text
        bed.network.apply("dhcp", Offer(routes=("0.0.0.0/0 via 10.8.0.1",)))
        assert bed.janitor.wanted[-2:] == ALL_ROUTES

    def test_what_leaves_beside_the_vpn_all_the_same_is_named(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.network.connected(LINK)
        bed.now += GATEWAY_S
        bed.waiter.aside.serve(bed.now)
        assert "--default-route is for IPv4 only" in caplog.text
        assert "IPv6 still leaves beside the VPN" in caplog.text

    def test_broadcasts_leave_through_the_device_where_asked(self) -> None:
        settings = ClientSettings("tap0", URL, network=NetworkSettings(broadcast=True))
        assert Wanted(settings).changes(is_connected=False)[-2:] == [
            *(Route("255.255.255.255/32"), Route("224.0.0.0/4")),
        ]


class TestCommands:
    def test_they_come_in_pairs(self, bed: Bed) -> None:
        for _ in range(2):
            bed.network.connected(LINK)
            bed.network.lost(LOST, 0.5)
            bed.network.lost(ConnectError("no"), 0.5)
        assert bed.janitor.calls == 2 * [(True, "connected"), (False, str(LOST))]

    def test_they_learn_who_and_where_and_no_secret(self, bed: Bed) -> None:
        bed.network.connected(LINK)
        call = bed.janitor.asked[-1]
        assert isinstance(call, Call)
        assert call.variables == {
            "VPNWS_TAP": "tap0",
            "VPNWS_MAC": "02:00:00:00:00:0a",
            "VPNWS_SERVER": "wss://vpn.example.org/vpn",
            "VPNWS_ADDRESS": "10.8.0.2/24",
            "VPNWS_REASON": "connected",
        }

    def test_a_strangers_reason_is_one_line(self, bed: Bed) -> None:
        bed.network.connected(LINK)
        bed.network.lost(ConnectError("closed: 1008 (a\nb\0" + 1000 * "c" + ")"), 0.5)
        _, reason = bed.janitor.calls[-1]
        assert reason.startswith("closed: 1008 (a?b?ccc")
        assert len(reason) < 300

    def test_a_station_waits_a_little_for_its_address(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings()))
        bed.begin().network.connected(LINK)
        assert bed.janitor.calls == []
        bed.network.apply("server", Offer(address=("10.8.0.5/24",)))
        bed.now += ADDRESS_S
        bed.waiter.aside.serve(bed.now)
        assert bed.janitor.calls == [(True, "connected")]
        bed.network.apply("server", Offer(address=("10.8.0.6/24",)))
        assert bed.janitor.calls[1:] == [(True, "the addresses have changed")]

    def test_a_station_without_an_address_is_connected_all_the_same(self, beds: list[Bed]) -> None:
        beds.append(bed := Bed(NetworkSettings()))
        bed.begin().network.connected(LINK)
        bed.now += ADDRESS_S
        bed.waiter.aside.serve(bed.now)
        assert bed.janitor.calls == [(True, "connected, without an address")]


class TestPowers:
    def test_a_client_can_ask_for_what_the_options_name(self) -> None:
        plain = ClientSettings("tap0", URL)
        assert powers_of(plain, "tap0").kinds == {"Address", "Mtu", "Switch"}
        accepting = NetworkSettings(accept=("routes", "dns"))
        for network, kind in (
            *((ALL, "NameServers"), (ALL, "Route")),
            *((accepting, "NameServers"), (accepting, "Route")),
        ):
            assert kind in powers_of(replace(plain, network=network), "tap0").kinds


def test_the_name_servers_are_those_that_are_not_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver x\nnameserver\n"
        "nameserver 2001:db8::53\nnameserver fe80::1%eth0\nsearch example.org\n"
    )
    assert name_servers(file) == ["192.0.2.1", "2001:db8::53"]
    assert name_servers(tmp_path / "none") == []
