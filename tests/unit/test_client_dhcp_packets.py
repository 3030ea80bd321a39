"""What the kernel lets through to our DHCP client: its filter, run by an interpreter of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from tests.support.frames import DISCOVER, OFFER, dhcp, ipv4, mac, tagged, udp
from tests.support.packet_strategies import packets
from tests.support.told_frames import acknowledges, advertises, announces_arp
from vpnws.client.dhcp.packets import FILTER
from vpnws.wire.dhcp import Way, way_of
from vpnws.wire.headers import TYPE_ARP, Headers

if TYPE_CHECKING:
    from tests.support.packets import Packet

OWN, SERVER = mac(1), mac(2)


def takes(frame: bytes) -> bool:
    """Run the filter as the kernel does (linux/filter.h): a load past the end leaves the frame."""
    accumulator = index = at = 0
    while True:
        code, if_true, if_false, value = FILTER[at]
        at += 1
        if code == 0x06:
            return value > 0
        if code in (0x15, 0x45):
            is_so = accumulator == value if code == 0x15 else bool(accumulator & value)
            at += if_true if is_so else if_false
            continue
        size = {0x28: 2, 0x30: 1, 0xB1: 1, 0x48: 2}[code]
        start = value + (index if code == 0x48 else 0)
        if start + size > len(frame):
            return False
        loaded = int.from_bytes(frame[start : start + size])
        if code == 0xB1:
            index = 4 * (loaded & 0x0F)
        else:
            accumulator = loaded


@pytest.mark.parametrize(
    ("frame", "is_taken"),
    [
        (dhcp(OFFER, OWN, address="10.8.0.9"), True),
        (acknowledges(OWN, "10.8.0.9", server=SERVER), True),
        (announces_arp(OWN, "10.8.0.9"), True),
        (ipv4(udp(b"", (67, 68)), ports=(), options=bytes(8)), True),
        (dhcp(DISCOVER, OWN), False),
        (advertises(OWN, "fd00::1"), False),
        (ipv4(udp(b"", (67, 68)), ports=(), fragment=100), False),
        (ipv4(udp(b"", (67, 68)), ports=(), protocol=6), False),
        (tagged(dhcp(OFFER, OWN), 0x8100), False),
        (b"", False),
    ],
    ids=["offer", "ack", "ARP", "IP options", "request", "ND", "fragment", "TCP", "VLAN", "empty"],
)
def test_answers_and_arp_come_in_and_nothing_else(frame: bytes, is_taken: bool) -> None:
    assert takes(frame) == is_taken


@given(packets())
def test_the_filter_takes_what_the_reader_of_headers_takes(packet: Packet) -> None:
    frame = packet.frame()
    headers = Headers(frame, 0, len(frame))
    if headers.version == 4:
        assert takes(frame) == (way_of(headers) is Way.TO_CLIENT)
    else:
        assert takes(frame) == (headers.ethertype == TYPE_ARP)
