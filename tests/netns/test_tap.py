"""TAP devices of the running kernel: virtio headers, offload on and off, devices that persist."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support import processes
from tests.support.netns import Namespace
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.tap_contract import TapContract
from tests.support.transfer import UDP_SEGMENT
from tests.support.uwsgi import REPOSITORY
from tests.support.waiting import becomes_readable
from vpnws.errors import TapBusyError, TapError
from vpnws.tap.contract import READ_BYTES
from vpnws.tap.inherited import open_inherited
from vpnws.tap.linux import open_tap
from vpnws.tap.pytun_device import PytunDevice
from vpnws.tap.rtnetlink import ChangeEvents, NoEvents, open_events
from vpnws.tap.tun_device import open_own
from vpnws.tap.tun_numbers import IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, IFF_TUN, IFF_VNET_HDR
from vpnws.wire.offload import GSO_UDP_L4, NEEDS_CSUM, VNET, is_sound
from vpnws.wire.records import NOTHING_TO_DO, VNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.tap.contract import Tap
    from vpnws.tap.linux_tap import LinuxTap

pytestmark = pytest.mark.netns

T = TypeVar("T")

NAME = "tap7"
PEER = "10.77.0.2"
PEER_MAC = "02:00:00:00:00:02"
NO_IPV6 = "sysctl -qw net.ipv6.conf.default.disable_ipv6=1"
"""The kernel then sends nothing of its own over a new device."""
TYPE_IPV4 = b"\x08\x00"
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15
WAIT_S = 5.0


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    require_root()
    require_tap()
    require("ip")
    with Namespace("tap") as made:
        yield made


@contextmanager
def opened(namespace: Namespace, *, offload: bool = False) -> Iterator[LinuxTap]:
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


class LinuxDevice:
    """A TAP of the kernel in a namespace that is silent, and a packet socket on it."""

    def __init__(self, namespace: Namespace, opener: Callable[[], LinuxTap]) -> None:
        self._namespace = namespace
        self.tap = namespace.call(opener)
        self.call(self.tap.up)
        self._socket = namespace.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        )
        self._socket.settimeout(WAIT_S)
        self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        namespace.call(lambda: self._socket.bind((NAME, ETH_P_ALL)))

    def call(self, function: Callable[[], T]) -> T:
        return self._namespace.call(function)

    def send(self, frame: bytes, vnet: bytes = NOTHING_TO_DO) -> None:
        self._socket.send(vnet + frame)

    def receive(self) -> bytes:
        while True:
            data, address = self._socket.recvfrom(READ_BYTES)
            if address[2] != socket.PACKET_OUTGOING:
                return data[VNET_BYTES:]

    def down(self) -> None:
        self._namespace.ip(f"link set {NAME} down")
        # The socket would say so at its next call.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def up(self) -> None:
        self.call(self.tap.up)

    def delete(self) -> None:
        self._namespace.ip(f"link delete {NAME}")

    def close(self) -> None:
        self._socket.close()
        self.tap.close()


def by_own(has_vnet: bool) -> LinuxTap:
    return open_tap(NAME, offload=has_vnet, tun=open_own)


def by_pytun(has_vnet: bool) -> LinuxTap:
    return open_tap(NAME, offload=has_vnet, tun=PytunDevice)


def by_inheritance(has_vnet: bool) -> LinuxTap:
    """Take over what another program has opened, as far as the kernel can tell."""
    return open_inherited(opened_fd(IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if has_vnet else 0)))


def opened_fd(flags: int, name: str = NAME) -> int:
    fd = os.dup((device := open_own(name, flags)).fileno())
    device.close()
    return fd


class TestContract(TapContract):
    @pytest.fixture(params=[by_own, by_pytun, by_inheritance], ids=["own", "pytun", "inherited"])
    def make_device(
        self, request: pytest.FixtureRequest, namespace: Namespace
    ) -> Iterator[Callable[[bool], LinuxDevice]]:
        made: list[LinuxDevice] = []

        def make(has_vnet: bool) -> LinuxDevice:
            made.append(LinuxDevice(namespace, partial(request.param, has_vnet)))
            return made[-1]

        namespace.run(NO_IPV6)
        yield make
        for device in made:
            device.close()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (IFF_TUN | IFF_NO_PI, "is the TUN device tap7, which carries no Ethernet frames"),
        (IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE, "is one of several queues of tap7"),
    ],
)
def test_an_inherited_device_of_another_kind_is_refused(
    namespace: Namespace, flags: int, sentence: str
) -> None:
    fd = namespace.call(partial(opened_fd, flags))
    with pytest.raises(TapError, match=f"fd:{fd} {sentence}"):
        namespace.call(partial(open_inherited, fd))
    os.close(fd)


def test_an_inherited_descriptor_without_a_device_says_so(namespace: Namespace) -> None:
    fd = namespace.call(partial(opened_fd, IFF_TAP | IFF_NO_PI))
    namespace.ip(f"link delete {NAME}")
    with pytest.raises(TapError, match=f"fd:{fd} has no device"):
        namespace.call(partial(open_inherited, fd))
    os.close(fd)


def test_an_inherited_device_of_another_namespace_is_not_taken_for_one_here(
    namespace: Namespace,
) -> None:
    with Namespace("other") as other:
        fd = other.call(partial(opened_fd, IFF_TAP | IFF_NO_PI))
        namespace.ip(f"tuntap add {NAME} mode tap")
        with closing(namespace.call(partial(open_inherited, fd))) as tap:
            state = namespace.call(tap.state)
            assert (state.name, state.is_here) == (NAME, False)


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
    namespace.run(NO_IPV6)
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


def test_the_kernel_keeps_to_a_bound_of_segments(namespace: Namespace) -> None:
    with opened(namespace, offload=True) as tap:
        assert tap.set_offload(on=True)
        namespace.ip(f"link set dev {NAME} gso_max_segs 8")
        send_udp(namespace, 40_000, 1000)
        frames = ipv4_read(tap)
        assert sum(len(frame) - 42 for _, frame in frames) == 40_000
        assert max(len(frame) for _, frame in frames) <= 8042


def test_a_device_that_was_moved_has_a_name_and_a_mac_and_no_more(namespace: Namespace) -> None:
    with opened(namespace) as tap, Namespace("other") as other:
        before = namespace.call(tap.state)
        namespace.ip(f"link set {NAME} netns {other.name}")
        # The name is another device's here.
        namespace.ip(f"tuntap add {NAME} mode tap")
        other.ip(f"link set {NAME} name moved7")
        moved = namespace.call(tap.state)
        assert (moved.name, moved.mac, moved.is_here) == ("moved7", before.mac, False)
        other.ip(f"link set moved7 netns {namespace.name}")
        assert namespace.call(tap.state).is_here


def test_events_tell_of_a_change_until_they_are_drained(namespace: Namespace) -> None:
    with opened(namespace), closing(namespace.call(open_events)) as events:
        assert not readable(events)
        for mtu_bytes in (1400, 1300):
            namespace.ip(f"link set {NAME} mtu {mtu_bytes}")
        assert readable(events)
        events.drain()
        assert not readable(events)


def readable(events: ChangeEvents | NoEvents) -> bool:
    return becomes_readable(events.fd)


def test_a_sys_of_another_namespace_is_named() -> None:
    """unshare --net leaves /sys as it was; ip netns exec mounts it anew."""
    program = (
        "from vpnws.tap import linux\n"
        "tap = linux.open_tap('tapsys')\n"
        "linux.mark_as_ours('tapsys')\n"
    )
    done = processes.run(
        ["unshare", "--net", sys.executable, "-c", program],
        check=False,
        env={"PYTHONPATH": str(REPOSITORY)},
    )
    assert "/sys shows another network namespace than the one with tapsys" in done.stderr
