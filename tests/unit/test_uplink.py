"""A TAP of the server as a port: its life, its reads, its writes and what is said of them."""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import frame, mac
from tests.support.node_bed import NodeBed
from tests.support.packets import Packet
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.server.port.session import Session
from vpnws.server.uplink.uplink import ANNOUNCE_S, RETRY_S, Uplink, read_message
from vpnws.sizes import TURN_BYTES, TURN_FRAMES
from vpnws.switch.drop import Drop
from vpnws.tap.contract import FRAME_ERRORS
from vpnws.tap.memory import MemoryTap
from vpnws.wire.announce import announcements
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.records import LENGTH_BYTES, NOTHING_TO_DO, PREFIX_BYTES, SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.devices import FakeTap
    from tests.support.node_bed import NodeStation

NAME = "vpn0"
AGE_S = 10
STATION, HOST = mac(1), mac(2)
GATEWAY = bytes((10, 8, 0, 254))


class Bed(NodeBed):
    """A node with an uplink, the host's side of its TAP, and a station."""

    def __init__(self, *, offload: bool = True) -> None:
        super().__init__(offload=offload, age_s=AGE_S)
        self.devices.make(NAME)
        self.uplink = Uplink(self.node, self.devices, "default", NAME)
        self.station: NodeStation = self.join()

    @property
    def tap(self) -> FakeTap:
        return self.devices.opened(NAME)

    @property
    def drops(self) -> dict[Drop, int]:
        assert self.uplink._port is not None
        return dict(self.uplink._port.drops)

    def speak(self, *frames: bytes) -> None:
        """Send frames from the station."""
        self.station.send(b"".join(encode_frame(BINARY, one) for one in frames))

    def host_received(self) -> list[bytes]:
        frames = []
        while True:
            try:
                frames.append(self.tap.host_receive())
            except TimeoutError:
                return [one[10:] for one in frames] if self.tap.has_vnet else frames

    def close(self) -> None:
        self.uplink.close()
        self.loop.kill()


@pytest.fixture(params=[True, False], ids=["offload", "plain"])
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    made = Bed(offload=request.param)
    yield made
    made.close()


class TestForwarding:
    def test_from_the_station_to_the_host(self, bed: Bed) -> None:
        sent = [frame(HOST, STATION, size) for size in (60, 1514)]
        bed.speak(*sent)
        assert bed.host_received() == sent

    def test_from_the_host_to_the_station_in_order(self, bed: Bed) -> None:
        sent = [frame(STATION, HOST, 60 + number) for number in range(2 * TURN_FRAMES)]
        for one in sent:
            bed.tap.host_send(one)
        assert bed.station.messages() == sent

    def test_one_turn_leaves_time_for_others(self, bed: Bed) -> None:
        for number in range(TURN_FRAMES + 1):
            bed.tap.host_send(frame(STATION, HOST, 60 + number))
        bed.loop.advance(0.0)
        assert len(bed.station.messages()) == TURN_FRAMES + 1
        assert bed.uplink._port is not None
        assert bed.uplink._port.rx_frames == TURN_FRAMES + 1

    def test_every_role_is_reached_from_it(self, bed: Bed) -> None:
        bed.tap.host_send(frame(BROADCAST, HOST))
        assert bed.station.messages() == [frame(BROADCAST, HOST)]


class TestMacs:
    def test_the_devices_and_its_bridges_are_known_before_they_speak(self, bed: Bed) -> None:
        bridge = mac(77)
        bed.devices.devices[NAME].bridge_mac = bridge
        other = bed.join()
        bed.loop.advance(ANNOUNCE_S)
        bed.speak(frame(bridge, STATION), frame(bed.tap.mac, STATION))
        assert len(bed.host_received()) == 2
        assert other.messages() == []

    def test_are_learned_anew_for_as_long_as_the_device_is_there(self, bed: Bed) -> None:
        other = bed.join()
        bed.loop.advance(3.0 * AGE_S)
        other.frames()
        bed.speak(frame(bed.tap.mac, STATION))
        assert other.messages() == []

    def test_no_station_can_take_one(self, bed: Bed) -> None:
        thief = bed.join()
        thief.send(encode_frame(BINARY, frame(BROADCAST, bed.tap.mac)))
        bed.host_received()
        bed.speak(frame(bed.tap.mac, STATION))
        assert bed.host_received() == [frame(bed.tap.mac, STATION)]


class TestAnnouncing:
    """Peers keep an address's MAC for half a minute; the kernel does not tell them of another."""

    def test_a_device_that_is_made_again_announces_its_address(self, bed: Bed) -> None:
        bed.devices.delete(NAME)
        bed.loop.advance(RETRY_S)
        bed.devices.make(NAME, mac=mac(50))
        bed.loop.advance(RETRY_S)
        assert bed.station.messages() == []
        bed.devices.addresses[NAME] = [GATEWAY]
        bed.loop.advance(ANNOUNCE_S)
        assert bed.station.messages() == announced(mac(50))

    def test_another_mac_is_announced_and_only_once(self, bed: Bed) -> None:
        bed.devices.addresses[NAME] = [GATEWAY]
        bed.loop.advance(ANNOUNCE_S)
        bed.station.messages()
        bed.tap.host_change(mac=mac(51))
        bed.loop.advance(20 * ANNOUNCE_S)
        assert bed.station.messages() == announced(mac(51))

    def test_so_is_that_of_its_bridge(self, bed: Bed) -> None:
        bed.devices.devices[NAME].bridge_mac = mac(52)
        bed.devices.addresses[bed.devices.bridge_of(NAME)] = [GATEWAY]
        bed.loop.advance(ANNOUNCE_S)
        assert bed.station.messages() == announced(mac(52))

    def test_in_another_namespace_it_has_no_address_here(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A device of the same name may be here; its address is not the uplink's."""
        bed.devices.addresses[NAME] = [GATEWAY]
        bed.tap.host_change(is_here=False)
        bed.loop.advance(4 * ANNOUNCE_S)
        assert bed.station.messages() == []
        assert [text for text in caplog.messages if "another network namespace" in text] != []
        bed.tap.host_send(frame(STATION, HOST))
        assert bed.station.messages() == [frame(STATION, HOST)]

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            ({"name": "vpn9"}, "uplink vpn0 is called vpn9 now"),
            ({"is_up": False}, "uplink vpn0 is down, so no frame passes: ip link set vpn0 up"),
        ],
    )
    def test_what_an_admin_changes_is_said_once(
        self, bed: Bed, caplog: pytest.LogCaptureFixture, facts: dict[str, object], said: str
    ) -> None:
        caplog.clear()
        bed.tap.host_change(**facts)
        bed.loop.advance(20 * ANNOUNCE_S)
        (message,) = caplog.messages
        assert message.startswith(said)


def announced(address: bytes) -> list[bytes]:
    return announcements(address, [GATEWAY], is_router=True)


class TestWrites:
    @pytest.mark.parametrize("code", [*FRAME_ERRORS, errno.EAGAIN])
    def test_a_frame_that_is_refused_is_counted_and_the_next_one_goes(
        self, bed: Bed, code: int
    ) -> None:
        bed.tap.host_fail_writes(code)
        bed.speak(frame(HOST, STATION))
        bed.tap.host_fail_writes(0)
        bed.speak(frame(HOST, STATION, 61))
        assert bed.host_received() == [frame(HOST, STATION, 61)]
        assert bed.drops == {Drop.DEVICE: 1}

    def test_a_device_that_fails_is_left_and_tried_again(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        bed.tap.host_fail_writes(errno.ENODEV)
        bed.speak(frame(HOST, STATION))
        assert bed.devices.devices[NAME].opened is None
        bed.loop.advance(RETRY_S)
        bed.speak(frame(HOST, STATION, 61))
        assert bed.host_received() == [frame(HOST, STATION, 61)]
        assert caplog.messages == [
            "uplink vpn0 down network=default: the TAP device vpn0 failed: No such device"
        ]


class TestLife:
    def test_a_device_that_cannot_be_opened_is_tried_until_it_can(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        bed = NodeBed()
        uplink = Uplink(bed.node, bed.devices, "blue", NAME)
        bed.loop.advance(10 * RETRY_S)
        bed.devices.make(NAME)
        bed.loop.advance(RETRY_S)
        assert caplog.messages[1:] == [
            "uplink vpn0 down network=blue: there is no TAP device vpn0",
            "uplink vpn0 up network=blue offload=on",
        ]
        uplink.close()

    def test_another_reason_is_said_too(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("WARNING")
        bed = NodeBed()
        uplink = Uplink(bed.node, bed.devices, "blue", NAME)
        bed.devices.make(NAME)
        bed.devices.may_open = False
        bed.loop.advance(5 * RETRY_S)
        bed.devices.may_open = True
        bed.devices.delete(NAME)
        bed.loop.advance(5 * RETRY_S)
        assert [message.partition(": ")[2] for message in caplog.messages] == [
            "there is no TAP device vpn0",
            "no permission to open the TAP device vpn0",
            "there is no TAP device vpn0",
        ]
        uplink.close()

    def test_a_device_that_fails_to_read_is_left(self, bed: Bed) -> None:
        bed.tap.host_fail_reads(errno.ENODEV)
        bed.loop.settle()
        assert bed.devices.devices[NAME].opened is None
        bed.loop.advance(RETRY_S)
        bed.tap.host_send(frame(STATION, HOST))
        assert bed.station.messages() == [frame(STATION, HOST)]

    def test_one_that_was_deleted_and_made_again_is_taken_again(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.clear()
        bed.devices.delete(NAME)
        bed.loop.advance(5 * RETRY_S)
        assert caplog.messages == ["uplink vpn0 down network=default: there is no TAP device vpn0"]
        bed.devices.make(NAME)
        bed.loop.advance(RETRY_S)
        bed.tap.host_send(frame(STATION, HOST))
        assert bed.station.messages() == [frame(STATION, HOST)]

    def test_while_it_is_away_its_frames_go_nowhere(self, bed: Bed) -> None:
        bed.tap.host_send(frame(BROADCAST, HOST))
        bed.station.messages()
        bed.devices.delete(NAME)
        bed.loop.settle()
        other = bed.join()
        bed.speak(frame(HOST, STATION))
        assert other.messages() == [frame(HOST, STATION)], "its MACs are forgotten"

    def test_closed_it_gives_everything_back(self, bed: Bed) -> None:
        before = len(NodeBed().loop.open_watchers())
        bed.station.link.lose("over")
        bed.loop.advance(1.0)
        bed.uplink.close()
        assert bed.devices.devices[NAME].opened is None
        assert len(bed.loop.open_watchers()) == before
        bed.loop.advance(10.0)

    def test_without_offload_in_the_kernel_it_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        bed = NodeBed()
        bed.devices.make(NAME, can_offload=False)
        uplink = Uplink(bed.node, bed.devices, "blue", NAME)
        assert caplog.messages[1:] == ["uplink vpn0 up network=blue offload=off"]
        uplink.close()


class TestRecords:
    def test_a_large_one_reaches_a_station_that_takes_it_whole(self) -> None:
        bed = Bed()
        station = bed.join(Session(subprotocol=SUBPROTOCOL))
        packet = Packet(payload=bytes(20_000))
        bed.tap.host_send(packet.partial(), packet.vnet(1400))
        (message,) = station.messages()
        assert message[PREFIX_BYTES:] == packet.partial()
        assert message[LENGTH_BYTES:PREFIX_BYTES] == packet.vnet(1400)
        assert len(bed.station.messages()) > 10, "others get its packets"
        bed.close()

    def test_frames_that_are_ready_are_one_message(self) -> None:
        tap = ready_tap(frame(STATION, HOST, 60), frame(STATION, HOST, 61))
        message = read_message(tap, 1514)
        assert list(records(message)) == [
            (NOTHING_TO_DO, frame(STATION, HOST, 60)),
            (NOTHING_TO_DO, frame(STATION, HOST, 61)),
        ]
        assert read_message(tap, 1514) == b""

    def test_a_turn_is_bounded_by_frames_and_by_bytes(self) -> None:
        tap = ready_tap(*[frame(STATION, HOST)] * (TURN_FRAMES + 1))
        assert len(list(records(read_message(tap, 65535)))) == TURN_FRAMES
        tap = ready_tap(*[frame(STATION, HOST, 65_000)] * 20)
        sizes = [len(read_message(tap, 65535)) for _ in range(3)]
        assert all(TURN_BYTES <= size < TURN_BYTES + 2 * 65_535 for size in sizes)

    def test_one_that_stations_would_refuse_is_made_fitting(self) -> None:
        packet = Packet(payload=bytes(5000))
        tap = MemoryTap(has_vnet=True)
        tap.up()
        tap.set_offload(True)
        tap.host_send(frame(STATION, HOST))
        tap.host_send(packet.partial(), packet.vnet(20))
        first, *others = records(read_message(tap, 1514))
        assert first == (NOTHING_TO_DO, frame(STATION, HOST))
        assert others == [(NOTHING_TO_DO, one) for one in packet.wire(20)]

    def test_one_that_cannot_be_made_fitting_is_left_for_the_switch_to_drop(self) -> None:
        packet = Packet(payload=bytes(5000))
        tap = MemoryTap(has_vnet=True)
        tap.up()
        tap.set_offload(True)
        tap.host_send(packet.partial(), packet.vnet(3000))
        assert list(records(read_message(tap, 1514))) == [(packet.vnet(3000), packet.partial())]


def ready_tap(*frames: bytes) -> MemoryTap:
    tap = MemoryTap(has_vnet=True)
    tap.up()
    for one in frames:
        assert tap.host_send(one)
    return tap


def records(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    for _ in itertools.count():
        if not message:
            return
        size = PREFIX_BYTES + int.from_bytes(message[:LENGTH_BYTES])
        record, message = message[:size], message[size:]
        yield record[LENGTH_BYTES:PREFIX_BYTES], record[PREFIX_BYTES:]
