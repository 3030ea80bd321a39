"""What the station takes of the server's offers, what it says, and when it gives up an address."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import mac
from vpnws.client.connect.url import parse_url
from vpnws.client.janitor.changes import NameServers, Route
from vpnws.client.life import Link
from vpnws.client.settings import ClientSettings, NetworkSettings
from vpnws.client.system.offers import MAX_SAID, SILENCE_S, Offers
from vpnws.client.system.powers import powers_of
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.errors import ConnectError
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = parse_url("ws://vpn.example.org/vpn")
ALL = ("address", "routes", "dns", "mtu")
LEASE = Offer(address=("10.8.0.7/24",), lease_s=3600)
EVERYTHING = replace(LEASE, routes=("10.1.0.0/16",), dns=("10.8.0.1",), mtu=1400, notice="hello")


class Bed:
    """The follower of a station whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stop = StopRequest()
        self.waiter = Waiter(self.stop, lambda: self.now)
        self.applied: list[Offer] = []
        self.addresses: list[bytes] | None = []
        self.offers = self.make()

    def make(self, **settings: object) -> Offers:
        """Have the station run with other settings."""
        given = ClientSettings("tap0", SERVER, **settings)  # type: ignore[arg-type]
        self.offers = Offers(given, self.waiter, self.apply, lambda _: self.addresses)
        return self.offers

    def apply(self, source: str, offer: Offer) -> None:
        """Do as the machine's network does."""
        assert source == "server"
        self.applied.append(offer)
        self.addresses = [ip_address(text.partition("/")[0]).packed for text in offer.address]

    def connect(self) -> None:
        """Have the station connected."""
        self.offers.connected(Link(SERVER, "192.0.2.1", "tap0", mac(1), has_offload=True, fd=-1))

    def lose(self) -> None:
        """Have the connection lost, and an attempt fail."""
        self.offers.lost(ConnectError("gone"), 1.0)
        self.wait(1.0)
        self.offers.lost(ConnectError("still gone"), 1.0)

    def wait(self, seconds: float) -> None:
        """Let time pass, and ring what is due."""
        self.now += seconds
        self.waiter.aside.serve(self.now)

    def close(self) -> None:
        """End, as the program does."""
        self.offers.ended("stopped")
        self.waiter.close()
        self.stop.close()


@pytest.fixture
def bed(caplog: pytest.LogCaptureFixture) -> Iterator[Bed]:
    caplog.set_level(logging.INFO)
    with closing(Bed()) as made:
        yield made


class TestOffers:
    def test_address_and_mtu_are_taken_and_the_rest_is_named_once(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            bed.connect()
            bed.offers.told(EVERYTHING)
            bed.lose()
        assert bed.applied == [replace(LEASE, mtu=1400)] * 2
        assert caplog.messages == [
            "the server offers routes 10.1.0.0/16, which is not applied: --accept"
            " address,mtu,routes applies it",
            "the server offers dns 10.8.0.1, which is not applied: --accept address,mtu,dns"
            " applies it",
            "the server gives this station 10.8.0.7/24",
        ]

    def test_all_is_taken_that_is_accepted_and_nothing_for_none(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.make(network=NetworkSettings(accept=ALL))
        bed.offers.told(EVERYTHING)
        assert bed.applied == [replace(EVERYTHING, notice="")]
        bed.make(network=NetworkSettings(accept=()))
        bed.offers.told(EVERYTHING)
        assert bed.applied[1:] == [Offer(lease_s=3600)]
        assert len([text for text in caplog.messages if "is not applied" in text]) == 4

    @pytest.mark.parametrize("accept", [ALL, ("address",)])
    def test_a_gateway_is_taken_if_everything_is_to_lead_through_the_vpn(
        self, bed: Bed, caplog: pytest.LogCaptureFixture, accept: tuple[str, ...]
    ) -> None:
        offered = Offer(routes=("0.0.0.0/0 via 10.8.0.1",))
        bed.make(network=NetworkSettings(accept=accept, default_route=True))
        bed.offers.told(offered)
        assert bed.applied == [offered]
        assert caplog.messages == []
        bed.make(network=NetworkSettings(accept=accept))
        bed.offers.told(offered)
        assert bed.applied[1:] == [Offer()]
        assert caplog.messages == [
            "the server offers routes 0.0.0.0/0 via 10.8.0.1, which is not applied: --default-route"
            " applies it"
        ]

    def test_a_notice_alone_changes_nothing(self, bed: Bed) -> None:
        bed.offers.told(LEASE)
        bed.offers.told(Offer(notice="a frame was dropped"))
        assert bed.applied == [LEASE]

    def test_no_address_is_taken_for_a_bridge_and_no_mtu_beside_an_own_one(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.make(bridge="br0", mtu_bytes=1300)
        bed.offers.told(EVERYTHING)
        assert bed.applied == [Offer(lease_s=3600)]
        assert any("the bridge has the addresses here" in text for text in caplog.messages)
        assert any("--mtu 1300 counts" in text for text in caplog.messages)

    def test_a_server_cannot_fill_the_log(self, bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(2 * MAX_SAID):
            bed.offers.told(Offer(routes=(f"10.{number}.0.0/16",)))
        assert len(caplog.messages) == MAX_SAID

    def test_the_janitor_may_do_just_what_is_accepted(self) -> None:
        for accept, kinds in ((("address",), set()), (ALL, {Route, NameServers})):
            settings = ClientSettings("tap0", SERVER, network=NetworkSettings(accept=accept))
            powers = powers_of(settings, "tap0").kinds
            assert {kind for kind in (Route, NameServers) if kind.__name__ in powers} == kinds


class TestALaterConnection:
    def test_keeps_the_address_that_it_is_offered_again(self, bed: Bed) -> None:
        bed.connect()
        bed.offers.told(LEASE)
        bed.lose()
        bed.connect()
        bed.offers.told(LEASE)
        bed.wait(2 * 3600.0)
        assert bed.applied[-1] == LEASE

    def test_gives_up_an_address_that_is_not_offered_once_its_lease_has_ended(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.connect()
        bed.offers.told(LEASE)
        bed.lose()
        bed.connect()
        bed.wait(3590.0)
        assert bed.applied == [LEASE]
        bed.wait(10.0)
        assert bed.applied == [LEASE, Offer()]
        assert caplog.messages[-1] == (
            "the server does not offer 10.8.0.7/24 any more: it is taken away again"
        )

    def test_has_time_to_be_offered_one_whose_lease_has_ended(self, bed: Bed) -> None:
        bed.connect()
        bed.offers.told(replace(LEASE, lease_s=0))
        bed.lose()
        bed.connect()
        bed.wait(SILENCE_S - 1.0)
        assert len(bed.applied) == 1
        bed.wait(1.0)
        assert bed.applied[1:] == [Offer()]


class TestSilence:
    def test_who_has_no_address_after_ten_seconds_is_told_once_how_to_get_one(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.addresses = [ip_address("fe80::1").packed, ip_address("169.254.7.7").packed]
        bed.connect()
        bed.wait(SILENCE_S - 1.0)
        assert caplog.messages == []
        bed.wait(1.0)
        (said,) = caplog.messages
        assert said.startswith("connected, but without an address after 10 s: tap0 has none")
        assert all(word in said for word in ("--address", "--dhcp", "vpnws-pool"))
        bed.lose()
        bed.connect()
        bed.wait(SILENCE_S)
        assert len(caplog.messages) == 1

    @pytest.mark.parametrize(
        "settings", [{"bridge": "br0"}, {"network": NetworkSettings(dhcp=True)}]
    )
    def test_a_bridge_needs_none_and_dhcp_says_it_itself(
        self, bed: Bed, caplog: pytest.LogCaptureFixture, settings: dict[str, object]
    ) -> None:
        bed.make(**settings)
        bed.connect()
        bed.wait(SILENCE_S)
        assert caplog.messages == []

    def test_nothing_is_said_of_a_device_with_an_address_or_out_of_sight(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        for addresses in ([ip_address("fd00::1").packed], None):
            bed.addresses = addresses
            bed.connect()
            bed.wait(SILENCE_S)
        bed.addresses = []
        bed.connect()
        bed.lose()
        bed.wait(SILENCE_S)
        assert caplog.messages == []
