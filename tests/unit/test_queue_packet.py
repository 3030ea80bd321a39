"""What a queue reads of packets: flows, and congestion marks right to the byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import (
    CE,
    ECT_0,
    ECT_1,
    FRAGMENT,
    ICMP,
    NOT_ECT,
    TCP,
    UDP,
    checksum,
    ethernet,
    ipv4,
    ipv6,
)
from vpnws.wire.headers import flow_key
from vpnws.wire.marks import mark_ce

TAGS = [(), (0x8100,), (0x88A8, 0x8100)]
PREFIX = b"header"
SERVICES = st.integers(0, 63).map(lambda upper: upper << 2)


class TestFlowKey:
    @pytest.mark.parametrize("packet", [ipv4, ipv6])
    @pytest.mark.parametrize("tags", TAGS)
    def test_the_five_tuple_makes_the_flow(self, packet, tags) -> None:  # type: ignore[no-untyped-def]
        keys = {
            flow_key(PREFIX + packet(tags=tags, **what), len(PREFIX))
            for what in (
                {},
                {"ports": (1000, 2001)},
                {"ports": (1001, 2000)},
                {"addresses": (3, 4)},
                {"addresses": (4, 3)},
                {"protocol": TCP},
                {"protocol": ICMP},
            )
        }
        assert len(keys) == 7
        assert flow_key(packet(payload=b"x" * 50, service=0xFF), 0) == flow_key(packet(), 0)

    @pytest.mark.parametrize("packet", [ipv4, ipv6])
    def test_tags_and_what_stands_before_the_frame_make_none(self, packet) -> None:  # type: ignore[no-untyped-def]
        keys = {flow_key(PREFIX + packet(tags=tags), len(PREFIX)) for tags in TAGS}
        assert keys == {flow_key(packet(), 0)}

    @pytest.mark.parametrize("fragment", [0x2000, 0x2001, 0x0001, 0x0100])
    def test_all_fragments_of_a_packet_are_one_flow(self, fragment: int) -> None:
        def key(ports: tuple[int, int], fragment: int) -> bytes:
            return flow_key(ipv4(ports=ports, fragment=fragment), 0)

        assert key((1, 2), fragment) == key((3, 4), 0x2000)
        assert key((1, 2), 0x4000) == key((1, 2), 0)
        assert key((1, 2), 0x4000) != key((3, 4), 0x4000)

    def test_ipv6_fragments_are_told_by_addresses(self) -> None:
        one, other = (ipv6(protocol=FRAGMENT, ports=ports) for ports in ((1, 2), (3, 4)))
        assert flow_key(one, 0) == flow_key(other, 0)

    def test_ports_stand_behind_options(self) -> None:
        one, other = (ipv4(options=b"\x01" * 8, ports=ports) for ports in ((1, 2), (1, 3)))
        assert flow_key(one, 0) == flow_key(ipv4(ports=(1, 2)), 0)
        assert flow_key(one, 0) != flow_key(other, 0)

    def test_what_is_not_ip_is_told_by_addresses_and_type(self) -> None:
        keys = {flow_key(ethernet(kind, bytes(28)), 0) for kind in (0x0806, 0x88CC)}
        assert len(keys) == 2
        assert flow_key(ethernet(0x0806, bytes(28)), 0) == flow_key(ethernet(0x0806, bytes(46)), 0)

    @given(st.one_of(st.just(ipv4(options=bytes(40))), st.just(ipv6())), st.integers(0, 120))
    def test_a_frame_cut_short_does_not_raise(self, whole: bytes, length: int) -> None:
        flow_key(whole[:length], 0)
        mark_ce(whole[:length], 0)

    @given(st.binary(max_size=80), st.sampled_from(TAGS), st.sampled_from((0x0800, 0x86DD)))
    def test_nothing_in_a_packet_raises(
        self, packet: bytes, tags: tuple[int, ...], kind: int
    ) -> None:
        flow_key(ethernet(kind, packet, tags), 0)
        marked = mark_ce(ethernet(kind, packet, tags), 0)
        assert marked is None or len(marked) == len(ethernet(kind, packet, tags))


class TestMark:
    @given(
        SERVICES,
        st.sampled_from((ECT_0, ECT_1)),
        st.sampled_from(TAGS),
        st.binary(max_size=40).map(lambda data: data[: len(data) & ~3]),
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    )
    def test_ipv4_is_marked_and_its_checksum_right(
        self,
        service: int,
        capable: int,
        tags: tuple[int, ...],
        options: bytes,
        addresses: tuple[int, int],
    ) -> None:
        def packet(code: int) -> bytes:
            return PREFIX + ipv4(
                service=service | code, options=options, tags=tags, addresses=addresses
            )

        before = packet(capable)
        marked = mark_ce(before, len(PREFIX))
        assert marked == packet(CE)
        assert before == packet(capable)
        start = len(PREFIX) + 14 + 4 * len(tags)
        assert checksum(marked[start : start + 20 + len(options)]) == 0

    @given(st.integers(1, 0xFFFF))
    def test_a_wrong_checksum_stays_wrong(self, error: int) -> None:
        packet = bytearray(ipv4(service=ECT_0))
        right = int.from_bytes(packet[24:26], "big")
        packet[24:26] = (right ^ error).to_bytes(2, "big")
        if checksum(bytes(packet[14:34])) == 0:
            return
        marked = mark_ce(bytes(packet), 0)
        assert marked is not None
        assert checksum(marked[14:34]) != 0

    @given(SERVICES, st.sampled_from((ECT_0, ECT_1)), st.sampled_from(TAGS))
    def test_ipv6_is_marked_in_its_traffic_class(
        self, service: int, capable: int, tags: tuple[int, ...]
    ) -> None:
        marked = mark_ce(PREFIX + ipv6(service=service | capable, tags=tags), len(PREFIX))
        assert marked == PREFIX + ipv6(service=service | CE, tags=tags)

    @pytest.mark.parametrize("packet", [ipv4, ipv6])
    def test_marked_already_stays_and_not_capable_is_refused(self, packet) -> None:  # type: ignore[no-untyped-def]
        marked = packet(service=CE)
        assert mark_ce(marked, 0) is marked
        assert mark_ce(packet(service=NOT_ECT), 0) is None
        assert mark_ce(packet(service=0xFC), 0) is None

    @pytest.mark.parametrize("first", [0x00, 0x44, 0x55, 0x60])
    def test_what_only_says_that_it_is_ipv4_is_not_marked(self, first: int) -> None:
        packet = bytearray(ipv4(service=ECT_0, protocol=UDP))
        packet[14] = first
        assert mark_ce(bytes(packet), 0) is None
        assert mark_ce(ethernet(0x0806, ipv4(service=ECT_0)[14:]), 0) is None
