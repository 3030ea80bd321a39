"""The kernel judges the offload: it cuts as we do, and what it hands out is sound."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.frames import ACK, CWR, DOT1AD, DOT1Q, ECE, FIN, PSH, TCP, UDP
from tests.support.netns import Namespace, give, make_bridge
from tests.support.offload_bed import OffloadBed
from tests.support.packet_strategies import TIMESTAMPS, packets
from tests.support.packets import Packet
from tests.support.prerequisites import require, require_tap
from tests.support.traffic import ping
from tests.support.transfer import send_datagrams, send_stream
from tests.support.vnet_cable import Record, VnetCable, as_it_is
from vpnws.wire.offload import fit, is_sound, plain_frames
from vpnws.wire.records import NOTHING_TO_DO, decode_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Carry = Callable[[bytes, bytes], list[Record]]

pytestmark = pytest.mark.netns

FAR: dict[int, str] = {socket.AF_INET: "10.9.0.2", socket.AF_INET6: "fd09::2"}
"""The address of the cable's far end."""
drawn = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BULK = {
    "TCP over IPv4": (Packet(payload=os.urandom(64_000), tcp_options=TIMESTAMPS), 1448),
    "TCP over IPv6": (Packet(version=6, payload=os.urandom(64_000)), 1428),
    "FIN, PSH, CWR and ECE": (Packet(payload=bytes(5000), flags=ACK | FIN | PSH | CWR | ECE), 999),
    "without DF": (Packet(payload=bytes(5000), do_not_fragment=False, number=0xFFFE), 1000),
    "a tag": (Packet(payload=bytes(5000), tags=((DOT1Q, 100),)), 1000),
    "two tags": (Packet(version=6, payload=bytes(5000), tags=((DOT1AD, 7), (DOT1Q, 100))), 1000),
    "UDP over IPv4": (Packet(protocol=UDP, payload=os.urandom(60_001)), 1472),
    "UDP over IPv6": (Packet(version=6, protocol=UDP, payload=os.urandom(60_001)), 1452),
    "as many as may be": (Packet(payload=bytes(12_800)), 100),
}


@pytest.fixture(scope="module", autouse=True)
def packets_may_be_small() -> Iterator[None]:
    """The least payload is a rule of its own; without it small packets show all other rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpnws.wire.offload.MIN_GSO_BYTES", 1)
        yield


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("ping", "nstat")


@pytest.fixture(scope="module")
def bed(prerequisites: None) -> Iterator[OffloadBed]:
    with OffloadBed() as bed:
        yield bed


class TestTheKernelCutsAsWeDo:
    @pytest.mark.parametrize("ecn", [False, True])
    @pytest.mark.parametrize("name", BULK)
    def test_in_bulk(self, bed: OffloadBed, name: str, ecn: bool) -> None:
        packet, gso_size = BULK[name]
        vnet = packet.vnet(gso_size, ecn=ecn and packet.protocol == TCP)
        ours = plain_frames(vnet, packet.partial())
        assert len(ours) > 1
        assert bed.cut(vnet, packet.partial(), len(ours)) == ours

    @drawn
    @given(packet=packets(min_bytes=40), gso_size=st.integers(33, 1500), ecn=st.booleans())
    def test_whatever_the_packet_is(
        self, bed: OffloadBed, packet: Packet, gso_size: int, ecn: bool
    ) -> None:
        assume(len(packet.payload) > gso_size)
        vnet, frame = packet.vnet(gso_size, ecn=ecn and packet.protocol == TCP), packet.partial()
        ours = plain_frames(vnet, frame)
        assert bed.cut(vnet, frame, len(ours)) == ours

    @drawn
    @given(packet=packets())
    def test_and_completes_checksums_as_we_do(self, bed: OffloadBed, packet: Packet) -> None:
        vnet, frame = packet.vnet(), packet.partial()
        assert bed.cut(vnet, frame, 1) == plain_frames(vnet, frame)

    @drawn
    @given(packet=packets(min_bytes=1), gso_size=st.just(0) | st.integers(33, 1500))
    def test_and_hands_it_on_as_a_sound_record(
        self, bed: OffloadBed, packet: Packet, gso_size: int
    ) -> None:
        vnet, frame = packet.vnet(gso_size), packet.partial()
        assume(not gso_size or len(packet.payload) > gso_size)
        again, same = bed.hand_on(vnet, frame)
        assert same == frame
        assert is_sound(again, frame, 0, len(frame), len(packet.wire(gso_size)[0]))
        assert plain_frames(again, frame) == packet.wire(gso_size)

    @pytest.mark.parametrize("protocol", [TCP, UDP])
    def test_also_where_a_checksum_is_zero(self, bed: OffloadBed, protocol: int) -> None:
        for gso_size, rest in ((0, b""), (1000, bytes(1998))):
            packet = Packet(protocol=protocol, payload=b"\0\0" + rest)
            at = packet.transport_at + (16 if protocol == TCP else 6)
            check = packet.wire(gso_size)[0][at : at + 2]
            packet = Packet(protocol=protocol, payload=check + rest)
            vnet, frame = packet.vnet(gso_size), packet.partial()
            ours = plain_frames(vnet, frame)
            assert ours[0][at : at + 2] in (b"\0\0", b"\xff\xff")
            assert bed.cut(vnet, frame, len(ours)) == ours


def cut_first(vnet: bytes, frame: bytes) -> list[Record]:
    return [(NOTHING_TO_DO, one) for one in plain_frames(vnet, frame)]


def stream(
    cable: VnetCable,
    family: int,
    size: int,
    *options: tuple[int, int, int | bytes],
    source: Namespace | None = None,
) -> None:
    """Send `size` bytes over TCP to far, with socket options; check that they arrive."""
    assert send_stream(source or cable.near, cable.far, FAR[family], size, *options)


def datagrams(cable: VnetCable, family: int, size: int, segment: int = 0) -> None:
    """Send `size` bytes over UDP twice, as one datagram or in segments; check that they arrive."""
    starts = range(0, size, segment) if segment else [0]
    sizes = [min(segment or size, size - start) for start in starts]
    for _ in range(2):
        assert send_datagrams(cable.near, cable.far, FAR[family], sizes) == sizes


def types(cable: VnetCable) -> set[int]:
    return {vnet[1] & 0x7F for vnet, _ in cable.records}


def refused(cable: VnetCable, max_packet_bytes: int = 1514) -> list[str]:
    return [
        f"{vnet.hex()} {frame[:80].hex()}"
        for vnet, frame in cable.records
        if not is_sound(vnet, frame, 0, len(frame), max_packet_bytes)
    ]


def checksum_errors(namespace: Namespace) -> list[str]:
    """Return the kernel's counters of bad checksums that are not zero."""
    shown = namespace.run("nstat -asz").stdout.splitlines()
    return [line for line in shown if "CsumErrors" in line and line.split()[1] != "0"]


@pytest.mark.parametrize("carry", [as_it_is, cut_first])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
class TestWhatTheKernelHandsOut:
    def test_of_tcp_is_sound(self, family: int, carry: Carry) -> None:
        with VnetCable(carry) as cable:
            stream(cable, family, 4 << 20)
            assert refused(cable) == []
            assert checksum_errors(cable.near) == checksum_errors(cable.far) == []
            assert types(cable) == {0, 1 if family == socket.AF_INET else 4}
            assert max(len(frame) for _, frame in cable.records) > 32_000

    def test_of_udp_is_sound(self, family: int, carry: Carry) -> None:
        with VnetCable(carry) as cable:
            for size in (0, 1, 7, 100, 1001, 1452, 5000):
                datagrams(cable, family, size)
            for size in (1001, 20_000, 60_001):
                datagrams(cable, family, size, 1000)
            assert refused(cable) == []
            assert checksum_errors(cable.near) == checksum_errors(cable.far) == []
            assert types(cable) == {0, 5}

    def test_with_ecn_is_sound(self, family: int, carry: Carry) -> None:
        with VnetCable(carry) as cable:
            for namespace in (cable.near, cable.far):
                namespace.run("sysctl -qw net.ipv4.tcp_ecn=1")
            stream(cable, family, 2 << 20)
            assert refused(cable) == []

    def test_with_options_is_sound(self, family: int, carry: Carry) -> None:
        option = (
            (socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x94\x04\0\0")
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, b"\0\0\x01\x04\0\0\0\0")
        )
        with VnetCable(carry) as cable:
            stream(cable, family, 1 << 20, option)
            assert refused(cable) == []
            assert len(types(cable)) == 2

    def test_of_pings_is_sound(self, family: int, carry: Carry) -> None:
        with VnetCable(carry) as cable:
            assert ping(cable.near, FAR[family], size_bytes=3000).received == 3
            assert refused(cable) == []
            assert types(cable) == {0}


def test_of_a_host_behind_a_bridge_it_is_sound_too() -> None:
    """What comes over a veth pair was never cut, nor was its checksum complete."""
    with VnetCable() as cable, Namespace("behind") as behind:
        near = cable.near
        near.ip(f"link add port0 type veth peer name eth0 netns {behind.name}")
        near.ip("link set port0 up")
        make_bridge(near, "port0", "cable0")
        give(behind, "eth0", "10.9.0.3", "fd09::3")
        behind.ip("link set eth0 up")
        for family in (socket.AF_INET, socket.AF_INET6):
            stream(cable, family, 1 << 20, source=behind)
        assert refused(cable) == []
        assert types(cable) == {0, 1, 4}


def test_more_segments_than_others_take_are_made_fit() -> None:
    def carry(vnet: bytes, frame: bytes) -> list[Record]:
        return [one for record in fit(vnet, frame, 1514) for one in decode_records(record)]

    with VnetCable(carry) as cable:
        stream(cable, socket.AF_INET, 1 << 20, (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 100))
        assert refused(cable) != []
        assert checksum_errors(cable.far) == []
