"""What our DHCP server answers to each message (RFC 2131 4.3), and to ARP for its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.dhcp import SERVER_IP, MemoryBook
from tests.fakes.dhcp import ask as reply_to
from tests.support.frames import DHCP_SERVER_PORT, DISCOVER, DOT1Q, dhcp, mac, tagged
from tests.support.packet_strategies import packets
from tests.support.told_frames import answers_arp, asks_arp, probes_arp
from vpnws.dhcp.server import MAC, YIELD_S, Server, Told
from vpnws.wire.dhcp import (
    BOOTREPLY,
    BOOTREQUEST,
    NO_IP,
    Kind,
    Message,
    Option,
    Way,
)
from vpnws.wire.dhcp_frame import ALL, Ends, Received, unwrap, wrap
from vpnws.wire.discovery import read_arp
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.headers import Headers
from vpnws.wire.told import By, read_told

if TYPE_CHECKING:
    from tests.support.packets import Packet

OWN, OTHER = mac(1), mac(2)
IP, FOREIGN = bytes((10, 8, 0, 2)), bytes((192, 168, 0, 7))


def server() -> Server:
    return Server(SERVER_IP, answers_arp=True)


def ask(
    kind: int,
    options: dict[Option, bytes] | None = None,
    *,
    to: bytes = ALL,
    source: bytes = OWN,
    **fields: object,
) -> bytes:
    """Return a client's message in a frame."""
    plain = {int(code): value for code, value in (options or {}).items()}
    message = Message(BOOTREQUEST, kind, 77, OWN, options=plain, **fields)  # type: ignore[arg-type]
    at = BROADCAST if to == ALL else MAC
    return wrap(message, Way.TO_SERVER, Ends(source, message.ciaddr, at, to))


def answer(frame: bytes, book: MemoryBook | None = None) -> Received | None:
    """Return what the server answers; the frame has to be the server's."""
    there = server()
    question = there.read(frame, 0.0)
    assert question is not None
    reply = there.answer(question, book or MemoryBook())
    return None if reply is None else unwrap(reply)


def answered(frame: bytes, book: MemoryBook | None = None) -> Received:
    got = answer(frame, book)
    assert got is not None
    return got


class TestDiscover:
    def test_gets_an_offer_with_all_that_a_client_needs(self) -> None:
        got = answered(ask(Kind.DISCOVER))
        message = got.message
        assert (message.op, message.kind, message.xid, message.mac) == (
            BOOTREPLY,
            Kind.OFFER,
            77,
            OWN,
        )
        assert message.yiaddr == IP
        assert message.ip(Option.SERVER_ID) == SERVER_IP
        assert message.options[Option.SUBNET_MASK] == bytes((255, 255, 255, 0))
        assert [
            message.number(option)
            for option in (Option.LEASE_S, Option.RENEWAL_S, Option.REBINDING_S)
        ] == [3600, 1800, 3150]
        assert Option.ROUTERS not in message.options
        assert Option.DNS not in message.options

    def test_gets_what_else_there_is_to_tell(self) -> None:
        told = Told(1400, (SERVER_IP,), (b"\x09" * 4,))
        options = answered(ask(Kind.DISCOVER), MemoryBook(told=told)).message.options
        assert options[Option.MTU] == (1400).to_bytes(2, "big")
        assert options[Option.ROUTERS] == SERVER_IP
        assert options[Option.DNS] == b"\x09" * 4

    def test_gets_what_it_wants_if_that_is_free(self) -> None:
        wanted = IP[:3] + b"\x04"
        asked = ask(Kind.DISCOVER, {Option.REQUESTED_IP: wanted})
        assert answered(asked).message.yiaddr == wanted

    def test_gets_no_answer_when_there_is_no_address(self) -> None:
        assert answer(ask(Kind.DISCOVER), MemoryBook(size=0)) is None

    def test_gets_its_own_id_back(self) -> None:
        """RFC 6842."""
        asked = ask(Kind.DISCOVER, {Option.CLIENT_ID: b"\xffduid"})
        assert answered(asked).message.options[Option.CLIENT_ID] == b"\xffduid"


class TestWhereAnswersGo:
    def test_to_the_client_alone(self) -> None:
        assert answered(ask(Kind.DISCOVER)).ends == Ends(MAC, SERVER_IP, OWN, IP)

    def test_to_all_if_it_says_that_it_cannot_hear_otherwise(self) -> None:
        got = answered(ask(Kind.DISCOVER, is_broadcast=True))
        assert got.ends == Ends(MAC, SERVER_IP, BROADCAST, ALL)
        assert got.message.is_broadcast

    def test_to_the_address_that_it_has(self) -> None:
        got = answered(ask(Kind.REQUEST, ciaddr=IP, to=SERVER_IP))
        assert got.ends == Ends(MAC, SERVER_IP, OWN, IP)

    def test_a_refusal_to_all(self) -> None:
        got = answered(ask(Kind.REQUEST, ciaddr=FOREIGN, to=SERVER_IP))
        assert got.message.kind == Kind.NAK
        assert got.ends == Ends(MAC, SERVER_IP, BROADCAST, ALL)

    def test_with_the_tags_of_the_question(self) -> None:
        got = answered(tagged(ask(Kind.DISCOVER), (DOT1Q, 7)))
        assert got.tags == bytes.fromhex("81000007")

    def test_the_switch_hears_from_it_who_has_the_address(self) -> None:
        reply = reply_to(server(), ask(Kind.REQUEST, ciaddr=IP), MemoryBook(), 0.0)
        assert reply is not None
        told = read_told(reply)
        assert told is not None
        assert (told.by, told.mac, told.ip, told.lease_s) == (By.DHCP, OWN, IP, 3600)


class TestRequest:
    def test_for_our_offer_is_acknowledged(self) -> None:
        asked = ask(Kind.REQUEST, {Option.SERVER_ID: SERVER_IP, Option.REQUESTED_IP: IP})
        got = answered(asked).message
        assert (got.kind, got.yiaddr) == (Kind.ACK, IP)

    def test_for_another_servers_offer_is_not_ours(self) -> None:
        asked = ask(Kind.REQUEST, {Option.SERVER_ID: FOREIGN, Option.REQUESTED_IP: FOREIGN})
        assert answer(asked) is None

    @pytest.mark.parametrize("ip", [IP, FOREIGN])
    def test_after_a_reboot_is_acknowledged_or_refused(self, ip: bytes) -> None:
        got = answered(ask(Kind.REQUEST, {Option.REQUESTED_IP: ip})).message
        assert got.kind == (Kind.ACK if ip == IP else Kind.NAK)

    @pytest.mark.parametrize("to", [SERVER_IP, ALL])
    def test_to_keep_an_address_is_acknowledged(self, to: bytes) -> None:
        got = answered(ask(Kind.REQUEST, ciaddr=IP, to=to)).message
        assert (got.kind, got.yiaddr, got.ciaddr) == (Kind.ACK, IP, IP)

    def test_for_what_another_has_is_refused(self) -> None:
        book = MemoryBook()
        book.leases[IP] = OTHER
        assert answered(ask(Kind.REQUEST, ciaddr=IP), book).message.kind == Kind.NAK


class TestOtherMessages:
    def test_a_released_address_is_free(self) -> None:
        book = MemoryBook()
        book.leases[IP] = OWN
        assert answer(ask(Kind.RELEASE, ciaddr=IP, to=SERVER_IP), book) is None
        assert book.leases == {}

    def test_a_declined_address_is_given_to_nobody(self) -> None:
        book = MemoryBook(size=1)
        book.leases[IP] = OWN
        assert answer(ask(Kind.DECLINE, {Option.REQUESTED_IP: IP}), book) is None
        assert answer(ask(Kind.DISCOVER), book) is None

    def test_to_another_server_changes_nothing(self) -> None:
        book = MemoryBook()
        book.leases[IP] = OWN
        for kind in (Kind.RELEASE, Kind.DECLINE):
            options = {Option.SERVER_ID: FOREIGN, Option.REQUESTED_IP: IP}
            assert answer(ask(kind, options, ciaddr=IP), book) is None
        assert book.leases == {IP: OWN}

    def test_whoever_has_an_address_is_told_the_rest(self) -> None:
        got = answered(ask(Kind.INFORM, ciaddr=FOREIGN), MemoryBook(told=Told(dns=(b"\x09" * 4,))))
        assert (got.message.kind, got.message.yiaddr) == (Kind.ACK, NO_IP)
        assert Option.LEASE_S not in got.message.options
        assert got.message.options[Option.DNS] == b"\x09" * 4
        assert got.ends == Ends(MAC, SERVER_IP, OWN, FOREIGN)

    @pytest.mark.parametrize("kind", [0, Kind.OFFER, Kind.ACK, Kind.NAK, 99])
    def test_what_no_client_says_is_not_answered(self, kind: int) -> None:
        assert answer(ask(kind)) is None


class TestWhatIsNotAnswered:
    def test_for_another_machine_than_its_sender(self) -> None:
        assert answer(ask(Kind.DISCOVER, source=OTHER)) is None

    def test_by_a_relay(self) -> None:
        assert answer(ask(Kind.DISCOVER, giaddr=SERVER_IP)) is None

    def test_to_another_host_passes(self) -> None:
        assert server().read(ask(Kind.REQUEST, to=FOREIGN), 0.0) is None

    def test_what_servers_say_passes(self) -> None:
        whole = dhcp(2, OWN, address="10.8.0.9")
        assert server().read(whole, 0.0) is None

    def test_what_is_damaged_passes(self) -> None:
        whole = bytearray(ask(Kind.DISCOVER))
        whole[60] ^= 1
        assert server().read(bytes(whole), 0.0) is None

    @given(packets())
    def test_other_packets_pass(self, packet: Packet) -> None:
        whole = packet.frame()
        is_for_servers = DHCP_SERVER_PORT in packet.ports
        assert is_for_servers or server().read(whole, 0.0) is None

    @given(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
        st.integers(0, 400),
    )
    def test_no_bytes_upset_it(self, changes: list[tuple[int, int]], size: int) -> None:
        whole = bytearray(dhcp(DISCOVER, OWN))
        for at, value in changes:
            whole[at % len(whole)] = value
        server().read(bytes(whole[:size]), 0.0)


class TestArp:
    def test_for_its_address_is_answered(self) -> None:
        reply = reply_to(server(), asks_arp(OWN, "10.8.0.2", "10.8.0.1"), MemoryBook(), 0.0)
        assert reply is not None
        arp = read_arp(Headers(reply, 0, len(reply)))
        assert arp is not None
        assert tuple(arp) == (2, MAC, SERVER_IP, OWN, IP)
        assert reply[:12] == OWN + MAC

    @pytest.mark.parametrize(
        "whole",
        [
            asks_arp(OWN, "10.8.0.2", "10.8.0.3"),
            answers_arp(OWN, "10.8.0.2", OTHER),
            asks_arp(OWN, "10.8.0.1", "10.8.0.1"),
        ],
        ids=["for another", "an answer", "an announcement"],
    )
    def test_else_is_not(self, whole: bytes) -> None:
        assert server().read(whole, 0.0) is None

    def test_by_whoever_looks_whether_the_address_is_free_is_answered(self) -> None:
        """RFC 5227: else two would have it."""
        assert server().read(probes_arp(OWN, "10.8.0.1"), 0.0) is not None

    def test_is_not_answered_where_a_host_has_the_address(self) -> None:
        asked = asks_arp(OWN, "10.8.0.2", "10.8.0.1")
        there = server()
        assert there.read(answers_arp(OTHER, "10.8.0.1", OWN), 0.0) is None
        assert there.read(asked, YIELD_S - 1) is None
        assert there.read(asked, YIELD_S) is not None

    def test_is_not_answered_where_the_address_may_be_the_tap_s(self) -> None:
        there = Server(SERVER_IP, answers_arp=False)
        assert there.read(asks_arp(OWN, "10.8.0.2", "10.8.0.1"), 0.0) is None
