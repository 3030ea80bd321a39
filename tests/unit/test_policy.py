"""Policies by destination, rights as the web server grants them, and what a payload is read as."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.errors import RightsError
from vpnws.server.web.rights import Rights, read_rights
from vpnws.switch.guard.destinations import (
    MAX_DESTINATIONS,
    AllowedDestinations,
    parse_destinations,
)
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, SAME_COMMUNITY, Kind, Role

ADDRESSES = bytes(12)


def ipv4(destination: str, protocol: int = 6, payload: bytes = b"", *, fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, fragment, 64, protocol, 0)
    packet = head + bytes(4) + socket.inet_pton(socket.AF_INET, destination) + payload
    return ADDRESSES + b"\x08\x00" + packet


def ipv6(destination: str, following: int = 6, payload: bytes = b"", *, hops: int = 64) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), following, hops)
    packet = head + bytes(16) + socket.inet_pton(socket.AF_INET6, destination) + payload
    return ADDRESSES + b"\x86\xdd" + packet


def udp(port: int) -> bytes:
    return struct.pack("!HHHH", 1000, port, 8, 0)


def tagged(frame: bytes, *types: str) -> bytes:
    tags = b"".join(bytes.fromhex(kind) + b"\x00\x64" for kind in types)
    return frame[:12] + tags + frame[12:]


HOP_BY_HOP_THEN_TCP = bytes((6, 0)) + bytes(6) + bytes(20)
FRAGMENT_OF_TCP = bytes((6,)) + bytes(7) + bytes(20)
POLICY = AllowedDestinations(parse_destinations("10.1.0.0/16, 192.0.2.7/32, fd00::/64"))


@pytest.mark.parametrize(
    "frame",
    [
        ipv4("10.1.255.1"),
        ipv4("192.0.2.7"),
        ipv4("10.1.0.1", 43),
        ipv6("fd00::5"),
        ipv6("fd00::5", 0, HOP_BY_HOP_THEN_TCP),
        ipv6("fd00::5", 60, HOP_BY_HOP_THEN_TCP),
        ipv6("fd00::5", 44, FRAGMENT_OF_TCP),
        tagged(ipv4("10.1.0.1"), "8100"),
        tagged(ipv6("fd00::5"), "88a8", "8100"),
        ADDRESSES + b"\x08\x06" + bytes(28),
        ipv6("ff02::1:ff00:1", 58, b"\x87" + bytes(23), hops=255),
        ipv6("fe80::1", 58, b"\x88" + bytes(23), hops=255),
        ipv4("255.255.255.255", 17, udp(67)),
        ipv6("ff02::1:2", 17, udp(547)),
    ],
)
def test_what_is_allowed_and_what_a_station_needs_passes(frame: bytes) -> None:
    assert POLICY.permits(frame)


@pytest.mark.parametrize(
    "frame",
    [
        ipv4("10.2.0.1"),
        ipv4("192.0.2.8"),
        ipv6("fd00:0:0:1::5"),
        ipv6("ff02::fb", 17, udp(5353)),
        ipv4("224.0.0.251", 17, udp(5353)),
        ipv4("10.2.0.1", 17, udp(67)),
        ipv4("255.255.255.255", 17, udp(68)),
        ipv4("255.255.255.255", 17, udp(67), fragment=1),
        ipv6("fd01::1", 58, b"\x87" + bytes(23), hops=64),
        ipv6("fd01::1", 58, b"\x80" + bytes(23), hops=255),
        ipv6("fd01::1", 58, b"\x87" + bytes(23), hops=255),
        ipv6("ff02::1", 58, b"\x86" + bytes(23), hops=255),
        ipv6("fd00::1", 43, bytes(24)),
        ipv6("fd00::1", 0, bytes((43, 0)) + bytes(6) + bytes(24)),
        ipv6("fd00::1", 60, bytes((43, 1)) + bytes(14) + bytes(24)),
        ipv6("fd00::1", 44, bytes((43,)) + bytes(7) + bytes(24)),
        ipv6("fd00::1", 0, bytes((60, 0)) + bytes(6)),
        ipv6("fd00::1", 0, bytes(8) * 4 + HOP_BY_HOP_THEN_TCP),
        ADDRESSES + b"\x08\x00" + b"\x46" + ipv4("10.1.0.1")[15:] + bytes(4),
        ipv6("fd01::1", 17, udp(547)),
        tagged(ipv4("10.2.0.1"), "8100"),
        tagged(ipv4("10.1.0.1"), "8100", "8100", "8100"),
        ipv4("10.1.0.1")[:30],
        ipv6("fd00::5")[:40],
        ADDRESSES + b"\x08\x00" + b"\x44" + ipv4("10.1.0.1")[15:],
        ADDRESSES + b"\x08\x00" + b"\x65" + ipv4("10.1.0.1")[15:],
        ADDRESSES + b"\x88\xcc" + bytes(50),
        ADDRESSES,
    ],
)
def test_everything_else_does_not(frame: bytes) -> None:
    assert not POLICY.permits(frame)


@given(st.binary(max_size=120))
def test_no_bytes_upset_it(data: bytes) -> None:
    assert POLICY.permits(data) in (True, False)


@given(st.ip_addresses(), st.lists(st.ip_addresses(), max_size=3), st.integers(0, 32))
def test_networks_hold_what_ipaddress_says_they_hold(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    bases: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    prefix: int,
) -> None:
    networks = tuple(ipaddress.ip_network(f"{base}/{prefix}", strict=False) for base in bases)
    frame = (ipv4 if address.version == 4 else ipv6)(str(address))
    assert AllowedDestinations(networks).permits(frame) is any(
        address in network for network in networks
    )


class TestRights:
    @pytest.mark.parametrize(
        ("mode", "role"),
        [("switch", SAME_COMMUNITY), ("bridge", SAME_COMMUNITY), ("router", ISOLATED)],
    )
    def test_without_vars_the_mode_decides(self, mode: str, role: Role) -> None:
        assert read_rights({}, mode) == Rights(role, None, may_bridge=False)

    def test_what_is_granted_is_read(self) -> None:
        variables = {
            "VPNWS_ROLE": "community:red",
            "VPNWS_ALLOW": "10.0.0.0/8",
            "VPNWS_BRIDGE": "on",
        }
        granted = read_rights(variables, "router")
        assert granted.role == Role(Kind.COMMUNITY, "red")
        assert granted.allow == (ipaddress.ip_network("10.0.0.0/8"),)
        assert granted.may_bridge
        assert read_rights({"VPNWS_ROLE": "promiscuous"}, "router").role == PROMISCUOUS

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("VPNWS_ROLE", "admin"),
            ("VPNWS_ROLE", ""),
            ("VPNWS_ALLOW", ""),
            ("VPNWS_ROLE", "community:"),
            ("VPNWS_ROLE", "community"),
            ("VPNWS_BRIDGE", "yes"),
            ("VPNWS_ALLOW", "10.0.0.1/8"),
            ("VPNWS_ALLOW", "anywhere"),
            ("VPNWS_ALLOW", ","),
            ("VPNWS_ALLOW", "10.0.0.0/8," * (MAX_DESTINATIONS + 1)),
        ],
    )
    def test_what_cannot_be_read_is_not_guessed(self, name: str, value: str) -> None:
        with pytest.raises(RightsError, match=f"{name} = "):
            read_rights({name: value}, "switch")
