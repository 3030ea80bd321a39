"""TAP devices of the running kernel: virtio headers, offload on and off, devices that persist."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import Namespace
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.waiting import wait_for
from vpnws.errors import TapBusyError, TapError
from vpnws.tap.linux import READ_BYTES, Tap, open_tap
from vpnws.wire.offload import GSO_UDP_L4, NEEDS_CSUM, VNET, VNET_BYTES, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

NAME = "tap7"
PEER = "10.77.0.2"
PEER_MAC = "02:00:00:00:00:02"
TYPE_IPV4 = b"\x08\x00"
UDP_SEGMENT = 103
WAIT_S = 5.0


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    require_root()
    require_tap()
    require("ip")
    with Namespace("tap") as made:
        yield made


@contextmanager
def opened(namespace: Namespace, *, offload: bool = False) -> Iterator[Tap]:
    tap = namespace.call(lambda: open_tap(NAME, offload=offload))
    with closing(tap):
        namespace.ip(f"link set {NAME} up")
        namespace.ip(f"address replace 10.77.0.1/24 dev {NAME}")
        namespace.ip(f"neighbour replace {PEER} lladdr {PEER_MAC} dev {NAME}")
        yield tap


def send_udp(namespace: Namespace, size: int, segment: int = 0) -> None:
    """Send a datagram, or as many as `size` has segments, in one call."""
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        if segment:
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        sock.sendto(bytes(size), (PEER, 9))


def ipv4_read(tap: Tap) -> list[tuple[bytes, bytes]]:
    """Return the IPv4 frames that are ready, each after its virtio header if there is one."""
    buffer = memoryview(bytearray(READ_BYTES))
    skip = VNET_BYTES if tap.has_vnet else 0
    found: list[tuple[bytes, bytes]] = []
    try:
        while True:
            data = bytes(buffer[: tap.read_into(buffer)])
            if data[skip + 12 : skip + 14] == TYPE_IPV4:
                found.append((data[:skip], data[skip:]))
    except BlockingIOError:
        return found


def packets_received(namespace: Namespace) -> int:
    return int(namespace.run(f"cat /sys/class/net/{NAME}/statistics/rx_packets").stdout)


def test_with_offload_datagrams_of_one_call_come_in_one_frame(namespace: Namespace) -> None:
    with opened(namespace, offload=True) as tap:
        assert tap.has_vnet
        assert tap.set_offload(on=True)
        send_udp(namespace, 40_000, 1000)
        ((vnet, frame),) = ipv4_read(tap)
        flags, gso_type, _, gso_size, start, offset = VNET.unpack(vnet)
        assert (flags, gso_type, gso_size) == (NEEDS_CSUM, GSO_UDP_L4, 1000)
        assert (start, offset, len(frame)) == (34, 6, 40_042)
        assert is_sound(vnet, frame, 0, len(frame), 1522)


def test_without_it_the_kernel_completes_every_frame(namespace: Namespace) -> None:
    with opened(namespace, offload=True) as tap:
        assert tap.set_offload(on=True)
        assert not tap.set_offload(on=False)
        send_udp(namespace, 3000, 1000)
        frames = ipv4_read(tap)
        assert [vnet for vnet, _ in frames] == [bytes(10)] * 3
        assert {len(frame) for _, frame in frames} == {1042}
        send_udp(namespace, 100)
        frame = tap.read()
        assert (len(frame), frame[12:14]) == (142, TYPE_IPV4)


def test_a_device_opened_without_headers_has_none(namespace: Namespace) -> None:
    with opened(namespace) as tap:
        assert not tap.has_vnet
        assert not tap.set_offload(on=True)
        send_udp(namespace, 3000, 1000)
        assert [len(frame) for _, frame in ipv4_read(tap)] == [1042] * 3


def test_a_persistent_device_is_opened_with_and_without_in_turns(namespace: Namespace) -> None:
    namespace.ip(f"tuntap add {NAME} mode tap")
    for offload in (True, False, True):
        with opened(namespace, offload=offload) as tap:
            assert tap.has_vnet is offload
            assert tap.set_offload(on=True) is offload
            send_udp(namespace, 3000, 1000)
            assert len(ipv4_read(tap)) == (1 if offload else 3)
            # It is left on, as a program that is killed leaves it.
    with opened(namespace) as tap:
        send_udp(namespace, 3000, 1000)
        assert [len(frame) for _, frame in ipv4_read(tap)] == [1042] * 3


def test_a_device_in_use_is_busy_either_way(namespace: Namespace) -> None:
    with opened(namespace, offload=True):
        for offload in (False, True):
            with pytest.raises(TapBusyError):
                namespace.call(partial(open_tap, NAME, offload=offload))


def test_a_device_that_is_not_there_is_not_made_against_our_will(namespace: Namespace) -> None:
    with pytest.raises(TapError, match="there is no TAP device"):
        namespace.call(lambda: open_tap("none7", create=False, offload=True))


@pytest.mark.parametrize("offload", [False, True])
def test_frames_go_in(namespace: Namespace, offload: bool) -> None:
    with opened(namespace, offload=offload) as tap:
        before = packets_received(namespace)
        frame = bytes.fromhex("ffffffffffff02000000000288b5") + bytes(46)
        tap.write(frame)
        if offload:
            tap.write_record(memoryview(bytes(10) + frame))
        expected = before + 1 + offload
        wait_for(lambda: packets_received(namespace) == expected, WAIT_S, "the frames")


def test_a_header_that_the_kernel_finds_untrue_is_refused(namespace: Namespace) -> None:
    with opened(namespace, offload=True) as tap, pytest.raises(OSError, match="Invalid argument"):
        tap.write_record(VNET.pack(NEEDS_CSUM, 0, 0, 0, 4000, 6) + bytes(60))


def test_the_kernel_keeps_to_a_bound_of_segments(namespace: Namespace) -> None:
    with opened(namespace, offload=True) as tap:
        assert tap.set_offload(on=True)
        namespace.ip(f"link set dev {NAME} gso_max_segs 8")
        send_udp(namespace, 40_000, 1000)
        frames = ipv4_read(tap)
        assert sum(len(frame) - 42 for _, frame in frames) == 40_000
        assert max(len(frame) for _, frame in frames) <= 8042
