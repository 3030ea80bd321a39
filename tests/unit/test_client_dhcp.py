"""The station's DHCP: our client on a link in memory, what of an answer counts, what is said."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.fakes.dhcp import SERVER_IP, MemoryBook, ask
from tests.support.frames import mac
from vpnws.client.connect.url import parse_url
from vpnws.client.dhcp.follower import SILENCE_S, Dhcp
from vpnws.client.dhcp.offers import accepted_by, offer_of
from vpnws.client.dhcp.own import OwnClient
from vpnws.client.life import Followers, Link
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.dhcp.client import CHECK_S, FIRST_DELAY_S
from vpnws.dhcp.grant import Grant, read_grant
from vpnws.dhcp.server import MAC as SERVER_MAC
from vpnws.dhcp.server import Server
from vpnws.errors import ConnectError
from vpnws.wire.announce import probe
from vpnws.wire.dhcp import BOOTREPLY, Kind, Message, Option
from vpnws.wire.dhcp_frame import unwrap
from vpnws.wire.dhcp_routes import Route, encode_routes
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN, OTHER = mac(1), mac(2)


class MemoryPackets:
    """What a packet socket is to the client, with our server at the other end."""

    def __init__(self, book: MemoryBook) -> None:
        self._here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._here.setblocking(False)
        self.fd = self._here.fileno()
        self.book = book
        self.server: Server | None = Server(SERVER_IP, answers_arp=True)
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Have the server answer."""
        self.sent.append(frame)
        reply = ask(self.server, frame, self.book, 0.0) if self.server is not None else None
        if reply is not None:
            self._there.send(reply)

    def receive(self) -> list[bytes]:
        """Return what has come in."""
        frames = []
        while True:
            try:
                frames.append(self._here.recv(2048))
            except BlockingIOError:
                return frames

    def kinds(self) -> list[int]:
        """Return what the client's messages were."""
        return [got.message.kind for got in map(unwrap, self.sent) if got is not None]

    def close(self) -> None:
        """Close both ends."""
        self._here.close()
        self._there.close()


class Bed:
    """A follower of a station whose clock stands until it is moved."""

    def __init__(self, book: MemoryBook) -> None:
        self.now = 100.0
        self.stop = StopRequest()
        self.waiter = Waiter(self.stop, lambda: self.now)
        self.packets = MemoryPackets(book)
        self.offers: list[tuple[str, Offer]] = []
        self.dhcp = Dhcp(
            lambda changed: OwnClient(self.packets, self.waiter, lambda: 0.5, "laptop", changed),
            self.waiter,
            lambda source, offer: self.offers.append((source, offer)),
            ("address", "mtu"),
        )
        self.follower = Followers([self.dhcp])

    def connect(self, own: bytes = OWN) -> None:
        """Have the station connected, and serve what comes of it."""
        url = parse_url("ws://vpn.example.org/vpn")
        self.follower.connected(Link(url, "192.0.2.1", "tap0", own, has_offload=True, fd=-1))
        self.wait(0.0)

    def lose(self) -> None:
        """Have the connection lost."""
        self.follower.lost(ConnectError("gone"), 1.0)

    def wait(self, seconds: float) -> None:
        """Let time pass, and serve what is due and what comes in."""
        end = self.now + seconds
        while (due_s := self.waiter.aside.next_at_s()) <= end:
            self.now = max(self.now, due_s)
            self.waiter.aside.serve(self.now)
        self.now = end
        for _ in range(4):
            self.waiter.aside.serve(self.now)

    def address(self) -> tuple[str, ...]:
        """Return what the device has now."""
        return self.offers[-1][1].address if self.offers else ()

    def close(self) -> None:
        """End, as the program does."""
        self.follower.ended("stopped")
        self.waiter.close()
        self.stop.close()


@pytest.fixture
def bed(caplog: pytest.LogCaptureFixture) -> Iterator[Bed]:
    caplog.set_level(logging.INFO)
    with closing(Bed(MemoryBook())) as made:
        yield made


class TestAStation:
    def test_asks_when_it_is_connected_and_applies_the_address(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert bed.packets.sent == []
        bed.connect()
        bed.wait(CHECK_S)
        assert bed.offers == [("dhcp", Offer(address=("10.8.0.2/24",), lease_s=3600))]
        assert caplog.messages == [
            "tap0 has the address 10.8.0.2/24 by DHCP, from 10.8.0.1 for 3600 s"
        ]

    def test_that_comes_back_keeps_its_address_and_renews_at_once(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.connect()
        bed.wait(10.0)
        bed.lose()
        assert bed.address() == ("10.8.0.2/24",)
        bed.packets.sent.clear()
        caplog.clear()
        bed.connect()
        assert bed.packets.kinds() == [Kind.REQUEST]
        assert bed.address() == ("10.8.0.2/24",)
        assert caplog.messages == []

    def test_that_comes_back_to_another_network_gets_another(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.connect()
        bed.wait(10.0)
        bed.lose()
        bed.packets.book.leases = {bytes((10, 8, 0, 2)): OTHER}
        bed.connect()
        assert bed.address() == ()
        bed.wait(1.0)
        assert bed.address() == ("10.8.0.3/24",)
        assert "tap0 no longer has the address 10.8.0.2/24: the DHCP server has taken it back" in (
            caplog.messages
        )

    def test_renews_its_lease_for_as_long_as_it_lives(self, bed: Bed) -> None:
        bed.connect()
        bed.wait(86_400.0)
        assert bed.address() == ("10.8.0.2/24",)
        assert bed.packets.kinds().count(Kind.REQUEST) == pytest.approx(49, abs=1)

    def test_whose_lease_ends_gives_the_address_back(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.connect()
        bed.wait(1.0)
        bed.packets.server = None
        bed.lose()
        bed.wait(3600.0)
        assert bed.address() == ()
        assert caplog.messages[-1] == (
            "tap0 no longer has the address 10.8.0.2/24: its lease has ended and nobody has"
            " renewed it"
        )

    def test_that_nobody_answers_says_so_once_for_each_connection(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.packets.server = None
        bed.connect()
        bed.wait(SILENCE_S - 0.1)
        assert caplog.messages == []
        bed.wait(600.0)
        (said,) = caplog.messages
        assert said.startswith("no DHCP server has answered on tap0 for 10 s")
        assert "vpnws-dhcp = on" in said
        assert set(bed.packets.kinds()) == {Kind.DISCOVER}
        bed.packets.server = Server(SERVER_IP, answers_arp=True)
        bed.wait(70.0)
        assert bed.address() == ("10.8.0.2/24",)

    def test_that_leaves_gives_the_address_up(self, bed: Bed) -> None:
        bed.connect()
        bed.wait(1.0)
        (frame,) = bed.follower.leaving()
        bed.packets.send(frame)
        assert bed.packets.book.leases == {}
        bed.wait(FIRST_DELAY_S)
        assert bed.follower.leaving() == []

    def test_with_another_mac_asks_anew(self, bed: Bed) -> None:
        bed.connect()
        bed.wait(1.0)
        bed.connect(OTHER)
        bed.wait(1.0)
        assert bed.address() == ("10.8.0.3/24",)

    def test_is_not_upset_by_frames_before_it_is_connected(self, bed: Bed) -> None:
        bed.packets.send(b"")
        bed.packets._there.send(b"\0" * 60)
        bed.wait(1.0)
        assert bed.offers == []

    def test_uses_its_address_in_time_though_others_ask_all_the_time(self, bed: Bed) -> None:
        bed.connect()
        for _ in range(60):
            bed.packets._there.send(probe(OTHER, bytes((10, 8, 0, 99))))
            bed.wait(0.02)
        assert bed.address() == ("10.8.0.2/24",)


def grant_of(options: dict[Option, bytes]) -> Grant:
    """Return what an acknowledgement with these options grants."""
    plain = {int(Option.SERVER_ID): SERVER_IP} | {int(code): each for code, each in options.items()}
    message = Message(BOOTREPLY, Kind.ACK, 1, OWN, yiaddr=bytes((10, 8, 0, 9)), options=plain)
    grant = read_grant(message, SERVER_MAC)
    assert grant is not None
    return grant


def accepted(*arguments: str) -> frozenset[str]:
    """Return what of an answer is accepted with these options."""
    options = [*arguments, "--dhcp", "tap0", "ws://vpn.example.org/vpn"]
    return accepted_by(read(make_parser().parse_args(options)))


class TestWhatCounts:
    def test_neither_routes_nor_name_servers_unless_they_are_accepted(self) -> None:
        grant = grant_of({Option.ROUTERS: SERVER_IP, Option.DNS: b"\x09" * 4})
        assert offer_of(grant, accepted()) == Offer(address=("10.8.0.9/24",))
        wanted = offer_of(grant, accepted("--accept", "routes,dns"))
        assert wanted.routes == ("0.0.0.0/0 via 10.8.0.1",)
        assert wanted.dns == ("9.9.9.9",)

    def test_not_routes_that_lead_nowhere(self) -> None:
        routes = [
            Route(IPv4Network(network), IPv4Address(router))
            for network, router in (
                ("224.0.0.0/4", "10.8.0.1"),
                ("127.0.0.0/8", "10.8.0.1"),
                ("0.0.0.0/0", "0.0.0.0"),
                ("10.9.0.0/16", "10.8.0.1"),
                ("10.10.10.0/24", "0.0.0.0"),
            )
        ]
        offer = offer_of(grant_of({Option.CLASSLESS_ROUTES: encode_routes(routes)}), ["routes"])
        assert offer.routes == ("10.9.0.0/16 via 10.8.0.1", "10.10.10.0/24")

    @pytest.mark.parametrize(("mtu", "taken"), [(1400, 1400), (67, 0), (65535, 0)])
    def test_an_mtu_that_a_tap_can_have_unless_the_user_names_one(
        self, mtu: int, taken: int
    ) -> None:
        grant = grant_of({Option.MTU: mtu.to_bytes(2, "big")})
        assert offer_of(grant, accepted()).mtu == taken
        assert offer_of(grant, accepted("--mtu", "1300")).mtu == 0
