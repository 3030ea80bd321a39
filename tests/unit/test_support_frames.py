"""The builders of frames, held to packets that others have made and to Python's own readers."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tests.support.frames import (
    ADVERTISEMENT,
    ARP_REQUEST,
    DESTINATION,
    DISCOVER,
    DOT1AD,
    DOT1Q,
    EXPERIMENT,
    HOP_BY_HOP,
    ICMPV6,
    MACS,
    OFFER,
    SOLICITATION,
    UDP,
    add_words,
    arp,
    checksum,
    dhcp,
    frame,
    ipv4,
    ipv4_header,
    ipv6,
    mac,
    neighbor,
    router_advertisement,
    tagged,
    tcp,
    udp,
)

BROADCAST = b"\xff" * 6


def test_the_sum_is_that_of_rfc_1071() -> None:
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert (add_words(data), checksum(data)) == (0xDDF2, 0x220D)
    assert checksum(data + b"\x22\x0d") == 0
    assert add_words(b"\x01") == 0x0100


def test_an_ipv4_header_has_the_checksum_of_the_textbooks_example() -> None:
    header = ipv4_header(
        95, UDP, ("192.168.0.1", "192.168.0.199"), fragment=0x4000, number=0, hops=64
    )
    assert header == bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")


def test_an_arp_request_is_laid_out_as_in_rfc_826() -> None:
    request = arp(
        ARP_REQUEST, (mac(1), "10.8.0.1"), (bytes(6), "10.8.0.2"), macs=BROADCAST + mac(1)
    )
    assert request == bytes.fromhex(
        "ffffffffffff020000000001080600010800060400010200000000010a0800010000000000000a080002"
    )


def test_tags_stand_behind_the_addresses_the_outer_one_first() -> None:
    plain = frame(mac(1), mac(2), 60, EXPERIMENT)
    assert tagged(plain, (DOT1AD, 1), DOT1Q) == (
        plain[:12] + bytes.fromhex("88a8000181000007") + plain[12:]
    )
    assert ipv4(tags=(DOT1Q,)) == tagged(ipv4(), DOT1Q)
    assert len(plain) == 60


@pytest.mark.parametrize("body", [udp(b"data"), tcp(b"data"), tcp(b"data", options=bytes(8))])
def test_a_packet_holds_its_payload_and_says_its_length(body: bytes) -> None:
    for whole, length_at, header in ((ipv4(body, ports=()), 16, 20), (ipv6(body, ports=()), 18, 0)):
        told = int.from_bytes(whole[length_at : length_at + 2], "big")
        assert told == header + len(body)
        assert whole.endswith(body)
        assert whole[:12] == MACS


def test_lengths_of_datagram_and_segment_are_told() -> None:
    assert udp(b"data")[4:6] == b"\x00\x0c"
    assert udp(b"data", length=3)[4:6] == b"\x00\x03"
    assert tcp(b"data", options=bytes(8))[12] >> 4 == 7


def test_extensions_are_a_chain_that_ends_in_the_payload() -> None:
    pad = b"\x01\x04\x00\x00\x00\x00"
    packet = ipv6(
        protocol=ICMPV6, ports=(), extensions=((HOP_BY_HOP, pad), (DESTINATION, pad + bytes(8)))
    )[14:]
    assert (packet[6], packet[40], packet[48]) == (HOP_BY_HOP, DESTINATION, ICMPV6)
    assert (packet[41], packet[49]) == (0, 1)
    assert int.from_bytes(packet[4:6], "big") == len(packet) - 40 == 24


@pytest.mark.parametrize(
    "packet",
    [
        neighbor(SOLICITATION, "fd08::2", mac(1), addresses=("fd08::1", "ff02::1:ff00:2")),
        neighbor(ADVERTISEMENT, "fd08::2", mac(2)),
        neighbor(SOLICITATION, "fd08::2"),
        router_advertisement(),
    ],
)
def test_neighbor_discovery_has_a_right_checksum_and_hop_limit(packet: bytes) -> None:
    packet = packet[14:]
    pseudo = packet[8:40] + struct.pack(">II", len(packet) - 40, ICMPV6)
    assert checksum(pseudo + packet[40:]) == 0
    assert packet[7] == 255


def test_a_solicitation_names_target_and_sender() -> None:
    asked = neighbor(SOLICITATION, "fd08::2", mac(1))[54:]
    assert ipaddress.ip_address(asked[8:24]) == ipaddress.ip_address("fd08::2")
    assert asked[24:] == b"\x01\x01" + mac(1)


@pytest.mark.parametrize(("kind", "ports"), [(DISCOVER, (68, 67)), (OFFER, (67, 68))])
def test_dhcp_goes_from_client_to_server_or_back(kind: int, ports: tuple[int, int]) -> None:
    packet = dhcp(kind, mac(1), address="10.8.0.9")[14:]
    assert checksum(packet[:20]) == 0
    assert struct.unpack(">HH", packet[20:24]) == ports
    message = packet[28:]
    assert message[16:20] == bytes((10, 8, 0, 9))
    assert message[28:34] == mac(1)
    assert message[236:] == bytes.fromhex("6382536335") + bytes((1, kind, 255))
