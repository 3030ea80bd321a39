"""The DHCP server inside the switch: whom it answers, at which port, and what goes no further."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.dhcp import SERVER_IP, MemoryBook
from tests.support.fabric import Fabric
from tests.support.frames import DISCOVER, checksum, dhcp, mac
from tests.support.told_frames import BROADCAST, announces_arp, asks_arp
from vpnws.dhcp.server import MAC, Server
from vpnws.server.dhcp import DhcpResponder
from vpnws.switch.drop import Drop
from vpnws.switch.format import PLAIN_FRAMES, RECORDS, Format
from vpnws.switch.guard.claims import OWN as SERVERS_OWN
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS
from vpnws.wire.dhcp import BOOTREQUEST, NO_IP, Kind, Message, Option, Way
from vpnws.wire.dhcp_frame import ALL, Ends, unwrap, wrap
from vpnws.wire.discovery import read_arp
from vpnws.wire.headers import Headers
from vpnws.wire.records import NOTHING_TO_DO, decode_records, encode_record
from vpnws.wire.told import By

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

OWN, OTHER, LAN = mac(1), mac(2), mac(3)
IP = bytes((10, 8, 0, 2))
UDP_AT = 34


class Bed:
    """Two processes; in each the network named default has a server, and all have one book."""

    def __init__(self, *, serves_bridged: bool = False, **options: bool) -> None:
        self.fabric = Fabric(**options)
        self.book = MemoryBook()
        self.links: dict[int, Any] = {}
        for switch in self.fabric.switches:
            server = Server(SERVER_IP, answers_arp=True)
            responder = DhcpResponder(
                server, self.links, lambda _link: self.book, serves_bridged=serves_bridged
            )
            switch.networks.responder_of = {"default": responder}.get

    def station(self, slot: int = 0, **options: Any) -> AccessPort:
        """Return the port of a new station."""
        port = self.fabric.attach(slot, **options)
        self.links[port.id] = object()
        return port

    def tap(self, slot: int = 0) -> AccessPort:
        """Return the port of a TAP of the server."""
        return self.fabric.attach(slot, role=PROMISCUOUS, claim=SERVERS_OWN, own=frozenset())

    def received(self, port: AccessPort) -> list[bytes]:
        """Return the frames that a port has got."""
        items = self.fabric.received(port)
        if port.format is not RECORDS:
            return items
        pairs = [pair for item in items for pair in decode_records(item)]
        assert all(vnet == NOTHING_TO_DO for vnet, _ in pairs)
        return [frame for _, frame in pairs]


@pytest.fixture
def bed() -> Bed:
    return Bed()


def discover(client: bytes = OWN) -> bytes:
    """Return a DISCOVER that asks for an answer to all."""
    return dhcp(DISCOVER, client, macs=BROADCAST + client)


def ask(kind: Kind, client: bytes = OWN, *, to: bytes = ALL, at: bytes = BROADCAST) -> bytes:
    """Return a message of a client that has an address."""
    options = {int(Option.REQUESTED_IP): IP} if kind == Kind.REQUEST and to == ALL else {}
    ciaddr = NO_IP if options else IP
    message = Message(BOOTREQUEST, kind, 7, client, ciaddr=ciaddr, options=options)
    return wrap(message, Way.TO_SERVER, Ends(client, ciaddr, at, to))


def kinds(frames: list[bytes]) -> list[int]:
    """Return what the messages in frames are."""
    return [got.message.kind for got in map(unwrap, frames) if got is not None]


def test_a_station_is_answered_and_nobody_else_hears_of_it(bed: Bed) -> None:
    asker, beside, far = bed.station(), bed.station(), bed.station(1)
    taps = bed.tap(), bed.tap(1)
    bed.fabric.send(asker, discover())
    assert kinds(bed.received(asker)) == [Kind.OFFER]
    assert [bed.received(port) for port in (beside, far, *taps)] == [[], [], [], []]


@pytest.mark.parametrize("role", [ISOLATED, PROMISCUOUS])
def test_in_every_mode(bed: Bed, role: Any) -> None:
    asker = bed.station(role=role)
    bed.fabric.send(asker, discover())
    assert kinds(bed.received(asker)) == [Kind.OFFER]


def test_of_another_network_is_forwarded_as_ever(bed: Bed) -> None:
    asker, beside = bed.station(network="blue"), bed.station(network="blue")
    bed.fabric.send(asker, discover())
    assert bed.received(asker) == []
    assert kinds(bed.received(beside)) == [Kind.DISCOVER]


def test_what_comes_from_a_lan_is_not_answered(bed: Bed) -> None:
    tap, station = bed.tap(1), bed.station()
    bed.fabric.send(tap, discover(LAN))
    assert bed.received(tap) == []
    assert kinds(bed.received(station)) == [Kind.DISCOVER]


def test_what_is_plain_is_answered_plain_and_a_record_by_a_record(bed: Bed) -> None:
    """A record's checksum is left to whoever needs it, so the server must complete it."""
    asker = bed.station(format_=RECORDS)
    whole = bytearray(discover())
    pseudo = NO_IP + ALL + struct.pack(">HH", 17, len(whole) - UDP_AT)
    whole[UDP_AT + 6 : UDP_AT + 8] = (0xFFFF - checksum(pseudo)).to_bytes(2, "big")
    vnet = struct.pack("<BBHHHH", 1, 0, 0, 0, UDP_AT, 6)
    bed.fabric.send(asker, encode_record(bytes(whole), vnet))
    (answer,) = bed.received(asker)
    got = unwrap(answer)
    assert got is not None
    pseudo = got.ends.source_ip + got.ends.ip + struct.pack(">HH", 17, len(answer) - UDP_AT)
    assert checksum(pseudo + answer[UDP_AT:]) == 0


@pytest.mark.parametrize("format_", [PLAIN_FRAMES, RECORDS])
def test_a_whole_exchange_ends_with_an_address_that_the_switch_hears(
    bed: Bed, format_: Format
) -> None:
    asker = bed.station(format_=format_)
    wrapped = encode_record if format_ is RECORDS else bytes
    for frame in (discover(), ask(Kind.REQUEST)):
        bed.fabric.send(asker, wrapped(frame))
    assert kinds(bed.received(asker)) == [Kind.OFFER, Kind.ACK]
    (heard,) = bed.fabric.switches[0].networks.by_name["default"].addresses
    assert (heard.ip, heard.mac, heard.by) == (IP, OWN, By.DHCP)
    bed.fabric.send(asker, wrapped(ask(Kind.RELEASE, to=SERVER_IP, at=MAC)))
    assert list(bed.fabric.switches[0].networks.by_name["default"].addresses) == []
    assert bed.book.leases == {}


def test_a_lease_is_renewed_by_asking_the_server_alone(bed: Bed) -> None:
    asker, beside = bed.station(), bed.station()
    bed.fabric.send(asker, ask(Kind.REQUEST, to=SERVER_IP, at=MAC))
    assert kinds(bed.received(asker)) == [Kind.ACK]
    assert bed.received(beside) == []


def test_its_address_is_found_by_arp_and_those_of_hosts_as_ever(bed: Bed) -> None:
    asker, beside = bed.station(), bed.station()
    bed.fabric.send(asker, asks_arp(OWN, str(IPv4Address(IP)), "10.8.0.1"))
    (answer,) = bed.received(asker)
    arp = read_arp(Headers(answer, 0, len(answer)))
    assert arp is not None
    assert (arp.sender_mac, arp.sender_ip, arp.target_mac) == (MAC, SERVER_IP, OWN)
    assert bed.received(beside) == []
    bed.fabric.send(asker, asks_arp(OWN, str(IPv4Address(IP)), "10.8.0.9"))
    assert len(bed.received(beside)) == 1


def test_a_host_at_another_process_that_has_its_address_keeps_it(bed: Bed) -> None:
    asker, far = bed.station(), bed.station(1)
    bed.fabric.send(far, announces_arp(OTHER, "10.8.0.1"))
    bed.received(asker)
    bed.fabric.send(asker, asks_arp(OWN, str(IPv4Address(IP)), "10.8.0.1"))
    assert bed.received(asker) == []
    assert len(bed.received(far)) == 1


def test_where_broadcast_is_forbidden_the_server_answers_all_the_same() -> None:
    bed = Bed(no_broadcast=True)
    asker = bed.station()
    bed.fabric.send(asker, discover())
    assert kinds(bed.received(asker)) == [Kind.OFFER]
    assert asker.drops[Drop.NO_BROADCAST] == 0


def test_beyond_the_storm_limit_nothing_is_answered_and_that_is_counted(bed: Bed) -> None:
    asker, beside = bed.station(storm_limit=5), bed.station()
    for _ in range(8):
        bed.fabric.send(asker, discover())
    assert kinds(bed.received(asker)) == [Kind.OFFER] * 5
    assert asker.drops[Drop.STORM] == 3
    assert bed.received(beside) == []


def test_a_message_that_needs_no_answer_goes_no_further_either(bed: Bed) -> None:
    asker, beside = bed.station(), bed.station()
    bed.book.size = 0
    bed.fabric.send(asker, discover())
    assert bed.received(asker) == []
    assert bed.received(beside) == []


@pytest.mark.parametrize("serves_bridged", [False, True])
def test_hosts_behind_a_bridging_station_are_their_lans_unless_all_are_served(
    serves_bridged: bool,
) -> None:
    bed = Bed(serves_bridged=serves_bridged)
    asker, beside = bed.station(own=frozenset((OWN,))), bed.station()
    for client in (OWN, OTHER):
        bed.fabric.send(asker, discover(client))
    assert kinds(bed.received(asker)) == [Kind.OFFER] * (2 if serves_bridged else 1)
    assert kinds(bed.received(beside)) == ([] if serves_bridged else [Kind.DISCOVER])
