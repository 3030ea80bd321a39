"""What the one reader of headers reads, that it reads it alone, and that no bytes upset it."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import (
    DESTINATION,
    DOT1AD,
    DOT1Q,
    FRAGMENT,
    HOP_BY_HOP,
    ICMPV6,
    OFFER,
    ROUTING,
    UDP,
    arp,
    dhcp,
    ethernet,
    icmpv6,
    ipv4,
    ipv6,
    mac,
    neighbor,
    router_advertisement,
    tagged,
)
from tests.support.packet_strategies import LAST_STOP, NO_OPTIONS, SEGMENT_ROUTING, packets
from tests.support.packets import Packet
from tests.support.sources import ROOT
from vpnws.wire.dhcp import Way, way_of
from vpnws.wire.discovery import (
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
    Arp,
    nd_target,
    nd_type,
    read_arp,
)
from vpnws.wire.headers import (
    NO_PROTOCOL,
    TYPE_IPV4,
    TYPE_IPV6,
    Headers,
    flow_key,
    is_shortest_ipv4,
    is_shortest_ipv6,
)
from vpnws.wire.marks import mark_ce

if TYPE_CHECKING:
    from pathlib import Path

BEFORE, AFTER = b"before", b"behind it"
TAGS = [(), ((DOT1Q, 0x6005),), ((DOT1AD, 7), (DOT1Q, 4094))]
TARGET = bytes(range(16))


def read(data: bytes) -> Headers:
    """Read a frame that stands in the midst of others."""
    return Headers(BEFORE + data + AFTER, len(BEFORE), len(data))


class TestWhereHeadersStand:
    @given(packets())
    def test_of_every_whole_packet(self, packet: Packet) -> None:
        headers = read(packet.frame())
        source, destination = packet.addresses
        assert headers.is_whole
        assert headers.version == packet.version
        assert headers.network_at == len(packet.link)
        assert headers.transport_at == packet.transport_at
        assert headers.payload_at == packet.payload_at
        assert headers.end == len(packet.frame())
        assert (headers.source, headers.destination) == (source, destination)
        assert (headers.protocol, headers.ports) == (packet.protocol, packet.ports)
        stop = packet.last_stop or destination
        assert packet.frame()[headers.last_stop_at :].startswith(stop)
        assert headers.has_options == bool(packet.ip_options or packet.extensions)
        assert headers.fragment == 0

    @pytest.mark.parametrize("tags", TAGS)
    def test_behind_tags(self, tags: tuple[tuple[int, int], ...]) -> None:
        for version, ethertype in ((4, TYPE_IPV4), (6, TYPE_IPV6)):
            headers = read(Packet(version=version, tags=tags).frame())
            assert headers.ethertype == ethertype
            assert headers.vlans == tuple(control & 0xFFF for _, control in tags)

    def test_but_not_behind_a_third_tag(self) -> None:
        headers = read(Packet(tags=((DOT1AD, 1), (DOT1Q, 2), (DOT1Q, 3))).frame())
        assert (headers.ethertype, headers.version, headers.vlans) == (DOT1Q, 0, (1, 2))

    @pytest.mark.parametrize("tags", TAGS)
    def test_a_type_that_is_cut_off_is_none(self, tags: tuple[tuple[int, int], ...]) -> None:
        for version in (4, 6):
            packet = Packet(version=version, tags=tags)
            for size in range(packet.transport_at):
                headers = read(packet.frame()[:size])
                assert (headers.ethertype == 0) == (size < len(packet.link))
                assert (headers.version, headers.protocol) == (0, NO_PROTOCOL)
                assert headers.source == headers.destination == b""
                assert headers.ports is None
                assert len(headers.vlans) <= len(tags)

    def test_extension_headers_tell_what_is_behind_them(self) -> None:
        chain = ((HOP_BY_HOP, NO_OPTIONS), SEGMENT_ROUTING, (DESTINATION, NO_OPTIONS))
        headers = read(Packet(version=6, extensions=chain, last_stop=LAST_STOP).frame())
        assert (headers.next_header, headers.protocol) == (HOP_BY_HOP, 6)
        assert headers.destination != LAST_STOP

    def test_a_route_to_nobody_knows_where_stays_one(self) -> None:
        unknown = ROUTING, b"\x03\x01\0\0\0\0" + LAST_STOP
        for chain in ((unknown,), (unknown, SEGMENT_ROUTING), (SEGMENT_ROUTING, unknown)):
            headers = read(Packet(version=6, extensions=chain).frame())
            assert (headers.last_stop_at, headers.is_whole) == (0, False)
            assert headers.ports == (4000, 5000)


class TestFragments:
    @pytest.mark.parametrize(
        ("word", "is_fragment", "has_ports"),
        [(0, False, True), (0x4000, False, True), (0x2000, True, True), (0x2001, True, False)],
    )
    def test_of_ipv4(self, word: int, is_fragment: bool, has_ports: bool) -> None:
        headers = read(ipv4(fragment=word, ports=(7, 9)))
        assert bool(headers.fragment) is is_fragment
        assert headers.ports == ((7, 9) if has_ports else None)
        assert not (headers.is_whole and is_fragment)

    def test_of_ipv6(self) -> None:
        headers = read(ipv6(protocol=FRAGMENT))
        assert headers.protocol == FRAGMENT
        assert headers.ports is None


class TestDiscovery:
    def test_arp_is_read_field_by_field(self) -> None:
        whole = arp(2, (mac(1), "10.0.0.1"), (mac(2), "10.0.0.2"))
        expected = Arp(2, mac(1), b"\x0a\0\0\1", mac(2), b"\x0a\0\0\2")
        for data in (whole, tagged(whole, DOT1Q)):
            assert read_arp(read(data + bytes(18))) == expected
            assert read_arp(read(data[:-1])) is None

    def test_arp_for_other_networks_is_none(self) -> None:
        whole = arp(1, (mac(1), 1), (mac(2), 2))
        for at in range(14, 20):
            assert read_arp(read(whole[:at] + b"\x77" + whole[at + 1 :])) is None
        assert read_arp(read(ethernet(0x88CC, whole[14:]))) is None

    def test_nd_is_told_by_its_type_and_its_hop_limit(self) -> None:
        kinds = {kind for kind in range(256) if nd_type(read(neighbor(kind, TARGET))) is not None}
        assert kinds == {133, 134, 135, 136, 137}
        advertisement = router_advertisement()
        assert nd_type(read(advertisement)) == ROUTER_ADVERTISEMENT
        assert nd_type(read(advertisement[:54])) is None
        assert nd_type(read(neighbor(NEIGHBOR_SOLICITATION, TARGET, hops=254))) is None
        assert nd_type(read(ipv4(protocol=ICMPV6, ports=(0x8700, 0)))) is None

    def test_nd_is_found_behind_extension_headers(self) -> None:
        extensions = ((HOP_BY_HOP, NO_OPTIONS), (DESTINATION, NO_OPTIONS))
        hidden = icmpv6(NEIGHBOR_SOLICITATION, bytes(4) + TARGET, hops=255, extensions=extensions)
        assert nd_type(read(hidden)) == NEIGHBOR_SOLICITATION
        assert nd_target(read(hidden)) == TARGET

    def test_nd_has_a_target_or_none(self) -> None:
        told = {kind: nd_target(read(neighbor(kind, TARGET))) for kind in range(130, 140)}
        assert {kind for kind in told if told[kind] is not None} == {135, 136, 137}
        assert told[NEIGHBOR_ADVERTISEMENT] == TARGET
        assert nd_target(read(neighbor(NEIGHBOR_SOLICITATION, TARGET)[:-1])) is None

    def test_dhcp_goes_to_the_server_and_comes_back(self) -> None:
        assert way_of(read(dhcp(1, mac(1)))) is Way.TO_SERVER
        assert way_of(read(dhcp(OFFER, mac(1)))) is Way.TO_CLIENT

    @pytest.mark.parametrize(
        ("version", "port", "way"),
        [
            (4, 67, Way.TO_SERVER),
            (4, 68, Way.TO_CLIENT),
            (6, 547, Way.TO_SERVER),
            (6, 546, Way.TO_CLIENT),
            (4, 547, None),
            (6, 67, None),
            (4, 53, None),
        ],
    )
    def test_dhcp_is_told_by_its_port(self, version: int, port: int, way: Way | None) -> None:
        packet = Packet(version=version, protocol=UDP, ports=(9, port))
        assert way_of(read(packet.frame())) is way
        assert way_of(read(replace(packet, protocol=6).frame())) is None
        assert way_of(read(packet.frame()[: packet.transport_at + 3])) is None


@given(
    st.sampled_from([*TAGS, ((DOT1Q, 1),) * 3]),
    st.sampled_from(["0800", "0806", "86dd", "88cc", ""]),
    st.sampled_from(["45", "46", "4f", "44", "60", ""]),
    st.binary(max_size=120),
    st.integers(0, 160),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_no_bytes_upset_it(
    tags: tuple[tuple[int, int], ...], kind: str, first: str, rest: bytes, size: int, form: type
) -> None:
    link = Packet(tags=tags).link[:-2]
    data = (link + bytes.fromhex(kind + first) + rest)[:size]
    headers = Headers(form(data), 0, len(data))
    for name in dir(Headers):
        if not name.startswith("_") and (name != "payload_at" or headers.is_whole):
            getattr(headers, name)
    for ask in (read_arp, nd_type, nd_target, way_of):
        ask(headers)
    flow_key(data, 0)
    mark_ce(data, 0)


@given(packets(), st.integers(0, 90), st.integers(0, 255))
def test_a_glance_and_a_look_agree(packet: Packet, at: int, value: int) -> None:
    """What `is_shortest_...` accepts is whole; and a whole packet as simple as that is accepted."""
    data = bytearray(packet.frame())
    data[at % len(data)] = value
    headers = read(bytes(data))
    is_simple = headers.is_whole and not headers.vlans and not headers.has_options
    is_simple = is_simple and headers.end == headers.size
    for version, glance in ((4, is_shortest_ipv4), (6, is_shortest_ipv6)):
        for protocol in (6, 17):
            expected = is_simple and (headers.version, headers.protocol) == (version, protocol)
            assert glance(bytes(BEFORE + data), len(BEFORE), len(data), protocol) == expected


class TestThereIsOneReader:
    ROOM = ROOT / "vpnws"
    READER = ROOM / "wire" / "headers.py"
    TYPES = (0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8)

    def written(self, path: Path) -> set[int]:
        """Return the EtherTypes in a module: as bytes, or as numbers in hexadecimal."""
        text = path.read_text()
        found = {
            int.from_bytes(node.value, "big")
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
            if len(node.value) == 2
        }
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NUMBER and token.string[:2].lower() == "0x":
                found.add(int(token.string, 16))
        return found & set(self.TYPES)

    def test_which_alone_knows_the_types(self) -> None:
        assert self.written(self.READER) == set(self.TYPES)
        others = [path for path in self.ROOM.rglob("*.py") if path != self.READER]
        assert {path.name: found for path in others if (found := self.written(path))} == {}

    def test_and_alone_goes_past_options(self) -> None:
        users = {
            path.name
            for path in self.ROOM.rglob("*.py")
            if "pass_extensions" in path.read_text() or "has_source_route" in path.read_text()
        }
        assert users == {"headers.py", "ip_options.py"}
