"""What frames tell of IP addresses, and what they do not."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import (
    ADVERTISEMENT,
    ARP_REQUEST,
    DOT1AD,
    DOT1Q,
    OFFER,
    Tag,
    arp,
    frame,
    mac,
    neighbor,
    tagged,
)
from tests.support.packet_strategies import packets
from tests.support.packets import Packet
from tests.support.told_frames import (
    ALL_NODES,
    BROADCAST,
    DECLINE,
    NAK,
    acknowledges,
    advertises,
    announces_arp,
    answers_arp,
    asks_arp,
    detects_duplicates,
    gives_up,
    probes_arp,
    solicits,
)
from vpnws.wire.plain_train import read_frames
from vpnws.wire.record_train import read_records
from vpnws.wire.records import encode_record
from vpnws.wire.told import (
    MAX_LEASE_S,
    MAX_TOLD_BYTES,
    UNICAST_TOLD_BYTES,
    By,
    Told,
    may_tell,
    read_told,
)

HOST, OTHER, SERVER = mac(1), mac(2), mac(3)
FOUR, SIX = "10.1.2.3", "fd00::1:2"
TAGGINGS: list[tuple[Tag, ...]] = [(), ((DOT1Q, 7),), ((DOT1AD, 100), (DOT1Q, 7))]

TELLING = {
    "ARP request": (asks_arp(HOST, FOUR), By.ARP, FOUR, None),
    "ARP reply": (answers_arp(HOST, FOUR, OTHER), By.ARP, FOUR, None),
    "gratuitous ARP": (announces_arp(HOST, FOUR), By.ARP, FOUR, None),
    "solicitation": (solicits(HOST, SIX), By.ND, SIX, None),
    "advertisement": (advertises(HOST, SIX, OTHER), By.ND, SIX, None),
    "unsolicited advertisement": (advertises(HOST, SIX), By.ND, SIX, None),
    "link-local": (advertises(HOST, "fe80::1"), By.ND, "fe80::1", None),
    "ACK": (acknowledges(HOST, FOUR, 600, server=SERVER), By.DHCP, FOUR, 600),
    "ACK to all": (acknowledges(HOST, FOUR, server=SERVER, to=BROADCAST), By.DHCP, FOUR, 3600),
    "long lease": (acknowledges(HOST, FOUR, 1 << 31, server=SERVER), By.DHCP, FOUR, MAX_LEASE_S),
    "release": (gives_up(HOST, FOUR, server=SERVER), By.DHCP, FOUR, 0),
    "decline": (gives_up(HOST, FOUR, server=SERVER, kind=DECLINE), By.DHCP, FOUR, 0),
}
"""Frames with what they tell: how, which address, for how long."""

SILENT = {
    "ARP probe": probes_arp(HOST, FOUR),
    "ARP for another MAC": arp(ARP_REQUEST, (OTHER, FOUR), (bytes(6), FOUR), macs=BROADCAST + HOST),
    "ARP of no operation": arp(9, (HOST, FOUR), (bytes(6), FOUR), macs=BROADCAST + HOST),
    "ARP of a group": announces_arp(HOST, "224.0.0.1"),
    "ARP of all": announces_arp(HOST, "255.255.255.255"),
    "ARP of loopback": announces_arp(HOST, "127.0.0.1"),
    "ARP from a group": announces_arp(BROADCAST, FOUR),
    "duplicate address detection": detects_duplicates(HOST, SIX),
    "ND that was routed": neighbor(ADVERTISEMENT, SIX, HOST, hops=64, macs=ALL_NODES + HOST),
    "ND of a group": advertises(HOST, "ff02::1:2"),
    "ND of loopback": advertises(HOST, "::1"),
    "offer": acknowledges(HOST, FOUR, server=SERVER, kind=OFFER),
    "NAK": acknowledges(HOST, FOUR, server=SERVER, kind=NAK),
    "ACK to somebody else": acknowledges(HOST, FOUR, server=SERVER, to=OTHER),
    "ACK of no address": acknowledges(HOST, "0.0.0.0", server=SERVER),
    "release of another's": gives_up(HOST, FOUR, server=SERVER)[:6]
    + OTHER
    + gives_up(HOST, FOUR, server=SERVER)[12:],
    "request": gives_up(HOST, FOUR, server=SERVER, kind=3),
}


@pytest.mark.parametrize("tags", TAGGINGS, ids=str)
@pytest.mark.parametrize("name", TELLING)
def test_a_frame_tells_who_has_which_address(name: str, tags: tuple[Tag, ...]) -> None:
    whole, by, ip, lease_s = TELLING[name]
    whole = tagged(whole, *tags)
    assert len(whole) <= MAX_TOLD_BYTES
    assert may_tell(whole)
    vlans = [(), (7,), (100, 7)][len(tags)]
    assert read_told(whole) == Told(by, HOST, ip_address(ip).packed, vlans, lease_s)


@pytest.mark.parametrize("name", SILENT)
def test_other_frames_tell_nothing(name: str) -> None:
    assert read_told(SILENT[name]) is None


@pytest.mark.parametrize("name", ["ARP request", "advertisement", "ACK", "release"])
def test_a_frame_that_is_cut_off_tells_nothing_or_the_same(name: str) -> None:
    whole, by, ip, _ = TELLING[name]
    for size in range(len(whole)):
        told = read_told(whole[:size])
        assert told is None or (told.by, told.ip) == (by, ip_address(ip).packed)


def test_a_third_tag_hides_everything() -> None:
    hidden = tagged(announces_arp(HOST, FOUR), (DOT1Q, 1), (DOT1Q, 2), (DOT1Q, 3))
    assert not may_tell(hidden)
    assert read_told(hidden) is None


def test_a_padded_frame_tells_as_much() -> None:
    assert read_told(announces_arp(HOST, FOUR).ljust(60, b"\0")) == Told(
        By.ARP, HOST, ip_address(FOUR).packed
    )


def test_an_ack_without_a_lease_time_counts_for_the_longest_lease() -> None:
    whole = acknowledges(HOST, FOUR, server=SERVER)
    told = read_told(whole.replace(b"\x33\x04\x00\x00\x0e\x10", b"\xff" * 6))
    assert told is not None
    assert told.lease_s == MAX_LEASE_S


@given(packets(), st.integers(0, 90), st.integers(0, 255))
def test_a_glance_never_overlooks_what_a_look_finds(packet: Packet, at: int, value: int) -> None:
    data = bytearray(packet.frame())
    data[at % len(data)] = value
    assert may_tell(bytes(data)) or read_told(bytes(data)) is None


def trains_may_tell(whole: bytes) -> list[bool]:
    """Return what the trains of a frame say at a glance, of one that is plain and of records."""
    (plain,) = read_frames([whole])
    (record,) = read_records([encode_record(whole)])
    return [plain.may_tell(), record.may_tell()]


@pytest.mark.parametrize("tags", TAGGINGS, ids=str)
@pytest.mark.parametrize("name", TELLING)
def test_the_glance_of_a_train_finds_all_that_tells(name: str, tags: tuple[Tag, ...]) -> None:
    whole = tagged(TELLING[name][0], *tags)
    for size in {len(whole), max(60, len(whole))}:
        assert trains_may_tell(whole.ljust(size, b"\0")) == [True, True]


@given(
    packets(), st.integers(0, 90), st.integers(0, 255), st.sampled_from(sorted(UNICAST_TOLD_BYTES))
)
def test_the_glance_of_a_train_overlooks_nothing(
    packet: Packet, at: int, value: int, size: int
) -> None:
    data = bytearray(packet.frame())
    data[at % len(data)] = value
    whole = bytes(data[:size].ljust(size, b"\0"))
    assert trains_may_tell(whole) == [True, True] or read_told(whole) is None


def test_the_glance_of_a_train_passes_over_ordinary_frames() -> None:
    udp = Packet(protocol=17, ports=(53, 4000)).frame()
    for size in (60, 64, 86, 300):
        assert trains_may_tell(udp.ljust(size, b"\0")) == [False, False]
    assert trains_may_tell(Packet(version=6).frame().ljust(86, b"\0")) == [False, False]


@given(
    st.sampled_from(sorted(TELLING)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 500),
)
def test_no_bytes_upset_it(name: str, changes: list[tuple[int, int]], size: int) -> None:
    """Whatever is changed or cut off: it tells an address of the right length, or nothing."""
    data = bytearray(TELLING[name][0])
    for at, value in changes:
        data[at % len(data)] = value
    told = read_told(bytes(data[:size]))
    assert told is None or may_tell(bytes(data[:size]))
    if told is not None:
        assert len(told.ip) == (16 if told.by is By.ND else 4)
        assert len(told.mac) == 6
        assert told.lease_s is None or 0 <= told.lease_s <= MAX_LEASE_S


@given(
    st.integers(1, 0xFFFF),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.sampled_from(["request", "reply", "solicitation", "advertisement", "ack"]),
)
def test_every_address_that_a_host_may_have_is_told(
    number: int, four: object, six: object, kind: str
) -> None:
    """The reference is ipaddress: what it calls a group's, nobody's or loopback is no host's."""
    host = mac(number)
    whole = {
        "request": lambda: asks_arp(host, str(four)),
        "reply": lambda: answers_arp(host, str(four), SERVER),
        "solicitation": lambda: solicits(host, str(six)),
        "advertisement": lambda: advertises(host, str(six)),
        "ack": lambda: acknowledges(host, str(four), server=SERVER),
    }[kind]()
    address = ip_address(str(six if "ti" in kind else four))
    is_nobodys = address.is_multicast or address.is_unspecified or address.is_loopback
    if address.version == 4:
        is_nobodys = is_nobodys or address.packed[0] >= 240 or address.packed[0] == 0
    told = read_told(whole)
    assert (told is None) == is_nobodys
    if told is not None:
        assert (told.mac, told.ip) == (host, address.packed)


def test_ordinary_frames_are_not_looked_at() -> None:
    assert not may_tell(frame(OTHER, HOST, 60))
    assert not may_tell(Packet(version=6).frame())
    assert not may_tell(Packet(protocol=17, ports=(53, 4000)).frame())
