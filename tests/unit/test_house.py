"""A whole server of three processes and its stations, from the handshake to the LAN and back."""

from __future__ import annotations

import gc
import logging
import signal
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.fakes.house import MULE, House
from tests.fakes.station import record_of
from tests.fakes.wire import Wire
from tests.support.frames import frame, mac
from tests.support.raw_frames import BINARY, PING, PONG, encode_frame
from vpnws.server.master import STARTED_S
from vpnws.server.node import UNHEARD
from vpnws.server.peers import kept_claims
from vpnws.switch.guard.claims import RESERVED_S
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.station import Station

DEAD_AFTER_S = 75.0
PING_EVERY_S = 25.0
FIRST, SECOND = mac(1), mac(2)
HOST = mac(9)


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


@pytest.fixture
def bridge() -> Iterator[House]:
    with House(tap="vpn0") as made:
        yield made


def lan_received(house: House) -> list[bytes]:
    """Take the frames that have reached the host through the TAP."""
    frames = []
    while True:
        try:
            frames.append(house.devices.opened("vpn0").host_receive()[10:])
        except TimeoutError:
            return frames


def acquaint(first: Station, second: Station) -> None:
    """Let two stations hear of each other."""
    first.send(frame(BROADCAST, FIRST))
    second.send(frame(BROADCAST, SECOND))
    first.received()
    second.received()


@pytest.mark.parametrize("offload", [(False, False), (True, True), (True, False), (False, True)])
@pytest.mark.parametrize("workers", [(1, 1), (1, 2)])
class TestBetweenStations:
    def test_a_known_station_alone_gets_its_frames(
        self, bridge: House, workers: tuple[int, int], offload: tuple[bool, bool]
    ) -> None:
        first = bridge.connect(workers[0], offload=offload[0])
        second = bridge.connect(workers[1], offload=offload[1])
        third = bridge.connect(2)
        acquaint(first, second)
        third.received()
        lan_received(bridge)
        sent = [frame(SECOND, FIRST, size) for size in (60, 100, 1514)]
        first.send(*sent)
        assert second.received() == sent
        assert first.received() == third.received() == lan_received(bridge) == []

    def test_a_broadcast_reaches_everyone_once(
        self, bridge: House, workers: tuple[int, int], offload: tuple[bool, bool]
    ) -> None:
        first = bridge.connect(workers[0], offload=offload[0])
        second = bridge.connect(workers[1], offload=offload[1])
        sent = frame(BROADCAST, FIRST)
        first.send(sent)
        assert second.received() == lan_received(bridge) == [sent]
        assert first.received() == []


class TestNetworks:
    def test_do_not_mix(self, house: House) -> None:
        blue = house.connect(1, network="blue")
        others = [house.connect(1, network="red"), house.connect(2, network="red")]
        blue.send(frame(BROADCAST, FIRST))
        assert [other.received() for other in others] == [[], []]

    def test_a_station_that_may_not_reach_another_does_not(self, house: House) -> None:
        isolated = [house.connect(worker, VPNWS_ROLE="isolated") for worker in (1, 2)]
        gateway = house.connect(1, VPNWS_ROLE="promiscuous")
        isolated[0].send(frame(BROADCAST, FIRST))
        assert isolated[1].received() == []
        assert gateway.received() == [frame(BROADCAST, FIRST)]


@pytest.mark.parametrize("offload", [False, True])
class TestLan:
    @pytest.mark.parametrize("worker", [1, 2])
    def test_frames_go_there_and_back(self, bridge: House, worker: int, offload: bool) -> None:
        station = bridge.connect(worker, offload=offload)
        there, back = frame(BROADCAST, FIRST), frame(FIRST, HOST)
        station.send(there)
        assert lan_received(bridge) == [there]
        bridge.devices.opened("vpn0").host_send(back)
        bridge.loop.settle()
        assert station.received() == [back]

    def test_the_machines_own_mac_is_known_before_it_speaks(
        self, bridge: House, offload: bool
    ) -> None:
        station, other = bridge.connect(1, offload=offload), bridge.connect(1)
        station.send(frame(bridge.devices.devices["vpn0"].mac, FIRST))
        assert len(lan_received(bridge)) == 1
        assert other.received() == []

    def test_a_device_that_goes_away_is_taken_again(
        self, bridge: House, offload: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        station = bridge.connect(1, offload=offload)
        bridge.devices.delete("vpn0")
        bridge.loop.settle()
        bridge.loop.advance(10.0)
        said = [record.getMessage() for record in caplog.records if "down" in record.getMessage()]
        assert said == ["uplink vpn0 down network=default: there is no TAP device vpn0"]
        bridge.devices.make("vpn0")
        bridge.loop.advance(1.0)
        station.send(frame(BROADCAST, FIRST))
        assert lan_received(bridge) == [frame(BROADCAST, FIRST)]


class TestAWorkerThatDies:
    def test_takes_only_its_own_stations_along(self, house: House) -> None:
        own, other = house.connect(1), house.connect(2)
        house.kill(1)
        assert own.is_hung_up
        assert not other.is_hung_up

    def test_is_replaced_and_its_stations_come_back(self, house: House) -> None:
        first, second = house.connect(1), house.connect(2)
        acquaint(first, second)
        house.kill(1)
        house.start(1)
        again = house.connect(1)
        second.send(frame(FIRST, SECOND))
        assert again.received() == [frame(FIRST, SECOND)]
        again.send(frame(SECOND, FIRST))
        assert second.received() == [frame(SECOND, FIRST)]

    def test_frees_the_places_of_its_stations(self) -> None:
        with House(settings={"max-ports": "2"}) as house:
            house.connect(1)
            house.connect(1)
            assert house.connect(2).status == "503 Service Unavailable"
            house.kill(1)
            house.start(1)
            assert house.connect(2).status.startswith("101")

    def test_as_the_mule_is_replaced_too(self, bridge: House) -> None:
        station = bridge.connect(1)
        bridge.kill(MULE)
        bridge.start(MULE)
        station.send(frame(BROADCAST, FIRST))
        assert lan_received(bridge) == [frame(BROADCAST, FIRST)]


class TestCongestion:
    def test_a_full_trunk_drops_frames_and_goes_on(self, house: House) -> None:
        first, second = house.connect(1), house.connect(2)
        acquaint(first, second)
        node = house.processes[1].node
        trunk = node.switch.trunks[1]
        house.processes[2].loop.is_paused = True
        sent = [frame(SECOND, FIRST, 1514)] * 20
        for _ in range(300):
            first.send(*sent)
        assert trunk.egress.size_bytes <= node.settings.trunk_limit_bytes
        assert sum(trunk.drops.values()) > 0
        assert not first.is_hung_up
        house.processes[2].loop.is_paused = False
        house.loop.advance(1.0)
        came = len(second.received())
        (link,) = house.processes[2].node.links.values()
        assert came > 0
        dropped = sum(trunk.drops.values()) + sum(link.port.drops.values())
        assert came + dropped == 300 * len(sent), "a frame is lost that nobody counts"
        first.send(*sent)
        assert second.received() == sent

    def test_a_station_that_reads_slowly_loses_its_own_frames_only(self, house: House) -> None:
        first, slow, third = house.connect(1), house.connect(1), house.connect(2)
        slow.stop_reading()
        for _ in range(100):
            first.send(*[frame(BROADCAST, FIRST, 1514)] * 20)
        assert len(third.received()) == 2000
        (port,) = [link.port for link in house.processes[1].node.links.values() if link.port.drops]
        slow.read_again()
        house.loop.settle()
        assert 0 < len(slow.received()) == 2000 - sum(port.drops.values())

    def test_what_a_socket_takes_in_pieces_arrives_whole(self, house: House) -> None:
        first = house.connect(1)
        wire = Wire(house.loop, max_write_bytes=7, room_bytes=1000, delay_s=0.001)
        second = house.connect(1, wire=wire)
        house.loop.advance(1.0)
        sent = [frame(BROADCAST, FIRST, size) for size in (60, 125, 126, 1514)]
        first.send(*sent)
        house.loop.advance(2.0)
        assert second.received() == sent

    def test_what_arrives_in_pieces_is_forwarded_whole(self, house: House) -> None:
        wire = Wire(house.loop, max_write_bytes=5, delay_s=0.01)
        first, second = house.connect(1, wire=wire), house.connect(2)
        house.loop.advance(1.0)
        first.send(*[frame(BROADCAST, FIRST, 200)] * 3)
        house.loop.advance(5.0)
        assert second.received() == [frame(BROADCAST, FIRST, 200)] * 3


class TestTime:
    def test_a_mac_that_is_silent_for_long_is_forgotten_everywhere(self) -> None:
        with House(settings={"age": "20"}) as house:
            first, second, third = house.connect(1), house.connect(2), house.connect(2)
            acquaint(first, second)
            third.received()
            second.send(frame(FIRST, SECOND))
            assert third.received() == []
            house.loop.advance(40.0)
            second.send(frame(FIRST, SECOND))
            assert third.received() == [frame(FIRST, SECOND)]
            uwsgi = house.processes[1].uwsgi
            assert not [key for key in uwsgi.cache_keys() if key.startswith(FIRST)]

    def test_a_mac_that_speaks_stays_known(self) -> None:
        with House(settings={"age": "20"}) as house:
            first, second, third = house.connect(1), house.connect(2), house.connect(2)
            acquaint(first, second)
            for _ in range(10):
                house.loop.advance(6.0)
                first.send(frame(SECOND, FIRST))
                second.send(frame(FIRST, SECOND))
            assert len(first.received()) == len(second.received()) == 10
            assert third.received() == [frame(BROADCAST, FIRST), frame(BROADCAST, SECOND)]

    def test_a_quiet_station_that_answers_pings_lives(self, house: House) -> None:
        station = house.connect(1)
        house.loop.advance(10 * DEAD_AFTER_S)
        assert not station.is_hung_up
        assert {control.opcode for control in station.controls} == {PING}

    def test_a_station_that_answers_nothing_is_closed(self, house: House) -> None:
        station, other = house.connect(1), house.connect(2)
        station.answers = False
        house.loop.advance(DEAD_AFTER_S - PING_EVERY_S)
        assert station.close_code is None
        house.loop.advance(PING_EVERY_S + 5.0)
        assert station.close_code == 1001
        assert station.is_hung_up
        assert not other.is_hung_up

    def test_a_station_that_only_sends_frames_lives(self, house: House) -> None:
        station = house.connect(1)
        station.answers = False
        for _ in range(20):
            house.loop.advance(DEAD_AFTER_S / 2)
            station.send(frame(BROADCAST, FIRST))
        assert not station.is_hung_up

    def test_after_a_sleep_nobody_is_taken_for_dead_unheard(self, house: House) -> None:
        station = house.connect(1)
        house.processes[1].loop.is_paused = True
        house.loop.advance(2 * DEAD_AFTER_S)
        station.send(frame(BROADCAST, FIRST))
        house.processes[1].loop.is_paused = False
        house.loop.advance(5.0)
        assert not station.is_hung_up


class TestCapacity:
    def test_a_station_more_than_there_may_be_is_refused(self) -> None:
        with House(settings={"max-ports": "3"}) as house:
            for worker in (1, 2, 1):
                assert house.connect(worker).status.startswith("101")
            refused = house.connect(2)
            assert refused.status == "503 Service Unavailable"
            assert "Retry-After: 10\r\n" in refused.head
            house.stations[0].leave()
            house.loop.advance(1.0)
            assert house.connect(2).status.startswith("101")

    def test_a_network_more_than_there_may_be_is_refused(self) -> None:
        with House(settings={"max-networks": "1"}) as house:
            assert house.connect(1, network="blue").status.startswith("101")
            assert house.connect(1, network="red").status == "503 Service Unavailable"
            assert house.connect(1, network="blue").status.startswith("101")

    def test_macs_more_than_a_port_may_have_reach_nobody(self, house: House) -> None:
        first, second = house.connect(1), house.connect(2)
        first.send(frame(BROADCAST, FIRST), frame(BROADCAST, mac(7)))
        assert second.received() == [frame(BROADCAST, FIRST)]

    def test_a_storm_is_cut_off(self) -> None:
        with House(settings={"storm-limit": "10"}) as house:
            first, second = house.connect(1), house.connect(2)
            for _ in range(10):
                first.send(*[frame(BROADCAST, FIRST)] * 10)
            assert len(second.received()) == 10
            house.loop.advance(1.0)
            first.send(frame(BROADCAST, FIRST))
            assert len(second.received()) == 1


class TestTheEnd:
    @pytest.mark.parametrize("end", [lambda s: s.leave(), lambda s: s.hang_up()])
    def test_a_station_that_goes_is_forgotten(
        self, house: House, end: Callable[[Station], None]
    ) -> None:
        first, second, third = house.connect(1), house.connect(2), house.connect(2)
        acquaint(first, second)
        third.received()
        end(first)
        house.loop.advance(1.0)
        second.send(frame(FIRST, SECOND))
        assert third.received() == [frame(FIRST, SECOND)]
        assert house.server.page.ports() == 2

    def test_a_reload_tells_every_station_to_come_back(self, house: House) -> None:
        stations = [house.connect(1), house.connect(2, offload=True)]
        house.reload()
        assert [station.close_code for station in stations] == [1012, 1012]
        assert all(station.is_hung_up for station in stations)
        assert house.connect(1).status == "503 Service Unavailable"

    def test_a_stop_tells_every_station_too(self, house: House) -> None:
        station = house.connect(1)
        house.processes[1].uwsgi.exit_hook()
        house.loop.settle()
        assert station.close_code == 1012

    def test_of_a_request_is_no_end_of_the_process(self, house: House) -> None:
        station = house.connect(1)
        process = house.processes[1]
        process.loop.spawn(process.uwsgi.exit_hook)
        house.loop.settle()
        assert not station.is_hung_up

    def test_every_watcher_and_descriptor_of_a_station_is_given_back(self, house: House) -> None:
        # The look at the master's threads, at the beginning, is over.
        house.loop.advance(STARTED_S)
        before = len(house.processes[1].loop.open_watchers())
        for _ in range(5):
            house.connect(1).leave()
            house.connect(1).wire.break_off()
            house.connect(1).send_bytes(encode_frame(BINARY, b"", rsv=1))
        house.loop.advance(5.0)
        assert len(house.processes[1].loop.open_watchers()) == before
        assert house.processes[1].uwsgi.requests == []


class TestTheMule:
    def test_ends_at_a_stop_and_takes_its_devices_along(self, bridge: House) -> None:
        bridge.devices.devices["vpn0"].is_ours = True
        bridge.signal_mule(signal.SIGINT)
        assert bridge.devices.devices == {}

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
    def test_leaves_its_devices_to_the_next_one_in_a_reload(
        self, bridge: House, number: int
    ) -> None:
        bridge.devices.devices["vpn0"].is_ours = True
        bridge.signal_mule(number)
        assert bridge.devices.devices["vpn0"].opened is None

    def test_leaves_a_device_that_the_admin_made(self, bridge: House) -> None:
        bridge.signal_mule(signal.SIGINT)
        assert list(bridge.devices.devices) == ["vpn0"]


class TestNative:
    @pytest.fixture
    def house(self) -> Iterator[House]:
        with House(settings={"receiver": "native"}) as made:
            yield made

    def test_frames_go_through(self, house: House) -> None:
        first, second = house.connect(1), house.connect(2, offload=True)
        first.send(*[frame(BROADCAST, FIRST)] * 3)
        assert second.received() == [frame(BROADCAST, FIRST)] * 3

    def test_the_request_lasts_as_long_as_the_station(self, house: House) -> None:
        station = house.connect(1)
        house.loop.advance(200.0)
        assert not station.request.is_over
        station.hang_up()
        assert station.request.is_over

    def test_a_fragment_ends_the_station(self, house: House) -> None:
        station = house.connect(1)
        station.send_bytes(encode_frame(BINARY, frame(BROADCAST, FIRST), fin=False))
        assert station.close_code == 1002
        assert station.request.is_over

    def test_a_reload_ends_the_request(self, house: House) -> None:
        station = house.connect(1)
        house.reload()
        assert station.close_code == 1012
        assert station.request.is_over

    def test_a_ping_is_answered(self, house: House) -> None:
        station = house.connect(1)
        station.send_bytes(encode_frame(PING, b"hello"))
        assert [(c.opcode, c.payload) for c in station.controls] == [(PONG, b"hello")]


def test_records_in_one_message_stay_in_their_order(house: House) -> None:
    first, plain = house.connect(1, offload=True), house.connect(2)
    sent = [frame(BROADCAST, FIRST, size) for size in (60, 61, 62)]
    first.send_messages(b"".join(map(record_of, sent)))
    assert plain.received() == sent


def test_the_log_says_who_came_and_what_they_did(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    station = house.connect(2, REMOTE_USER="eve 'x'\n", REMOTE_ADDR="192.0.2.1")
    station.send(frame(BROADCAST, FIRST))
    house.loop.advance(5.0)
    station.leave()
    assert [record.getMessage() for record in caplog.records][-2:] == [
        "port 2.1 up network=default user=eve??x?? dn=- addr=192.0.2.1 mac=-"
        f" rights=community subprotocol=-; {UNHEARD}",
        "port 2.1 down after 5 s: 'closed by the station'; rx 1 frames, 60 bytes; tx 0 frames,"
        " 0 bytes; drops none; user=eve??x?? dn=- addr=192.0.2.1 mac=02:00:00:00:00:01",
    ]


def test_a_server_is_up_before_a_clock_moves(house: House) -> None:
    assert house.loop.now() == 1000.0
    assert house.server.page.ports() == 0


def test_a_link_that_ended_is_freed_without_the_garbage_collector(house: House) -> None:
    """Collections are rare in a worker: a cycle for each station would pile up to megabytes."""
    station = house.connect()
    (link,) = house.processes[1].node.links.values()
    ended = weakref.ref(link)
    del link
    gc.collect()
    gc.disable()
    try:
        station.leave()
        house.loop.advance(10)
        assert ended() is None
    finally:
        gc.enable()


class TestWhoHasAMac:
    """The rules of guard/claims.py from the handshake on, over processes and reloads."""

    def gets(self, house: House, asker: Station, *stations: Station) -> list[Station]:
        """Return which of `stations` get a frame for FIRST."""
        for station in stations:
            station.received()
        asker.send(frame(FIRST, SECOND))
        house.loop.advance(0.2)
        return [station for station in stations if frame(FIRST, SECOND) in station.received()]

    def join(self, house: House, worker: int, user: str) -> Station:
        announced = "02:00:00:00:00:01"
        return house.connect(worker, REMOTE_USER=user, offload=True, HTTP_X_VPN_WS_MAC=announced)

    def test_a_reload_gives_no_mac_to_a_thief_who_comes_first(self, house: House) -> None:
        self.join(house, 1, "alice")
        house.reload_all()
        thief, asker = self.join(house, 2, "mallory"), house.connect(1)
        thief.send(frame(BROADCAST, FIRST))
        alice = self.join(house, 1, "alice")
        assert self.gets(house, asker, alice, thief) == [alice]
        thief.hang_up()
        house.loop.advance(1.0)
        alice.send(frame(BROADCAST, FIRST))
        assert self.gets(house, asker, alice) == [alice]

    def test_the_claims_of_those_who_do_not_come_back_end(self, house: House) -> None:
        self.join(house, 1, "alice")
        for _ in range(3):
            house.reload_all()
        house.loop.advance(RESERVED_S)
        bob, asker = self.join(house, 2, "bob"), house.connect(1)
        third = house.connect(1)
        assert self.gets(house, asker, bob, third) == [bob]

    def test_a_reload_leaves_no_file(self, house: House) -> None:
        self.join(house, 1, "alice")
        house.reload()
        assert kept_claims.exists(house.environment)
        house.reload_all()
        assert not kept_claims.exists(house.environment)

    def test_nor_does_one_that_fails(self, house: House) -> None:
        self.join(house, 1, "alice")
        house.master.options["vpnws-age"] = b"soon"
        with pytest.raises(SystemExit):
            house.reload_all()
        assert not kept_claims.exists(house.environment)

    def test_a_lost_file_is_said(
        self, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept_claims, "DIRECTORY", kept_claims.DIRECTORY / "missing")
        house.reload_all()
        assert any(
            line.startswith(
                "named stations' claims and the operator's rules are lost at this reload: "
            )
            for line in caplog.messages
        )

    def test_the_taps_mac_is_reserved_before_the_mule_begins(self) -> None:
        with House(tap="vpn0", settings={"pinned-macs": "02:00:00:00:00:01"}) as house:
            house.kill(MULE)
            own = house.devices.devices["vpn0"].mac
            thief = house.connect(1, REMOTE_USER="mallory")
            for source in (own, FIRST):
                thief.send(frame(BROADCAST, source))
            house.reload_all()
            thief = house.connect(1, REMOTE_USER="mallory")
            asker = house.connect(2)
            for source in (own, FIRST):
                thief.send(frame(BROADCAST, source))
                asker.send(frame(source, SECOND))
            house.loop.advance(1.0)
            assert thief.received() == []
            assert {frame(own, SECOND), frame(FIRST, SECOND)} <= set(lan_received(house))

    def test_who_leaves_in_order_gives_its_mac_to_the_next_user(self, house: House) -> None:
        alice, asker, third = self.join(house, 1, "alice"), house.connect(1), house.connect(1)
        alice.leave()
        house.loop.settle()
        bob = self.join(house, 2, "bob")
        assert self.gets(house, asker, bob, third) == [bob]

    @pytest.mark.parametrize("how", ["hang up", "1001"])
    def test_who_is_refused_for_one_that_is_away_is_told_for_how_long(
        self, house: House, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        alice = self.join(house, 1, "alice")
        alice.hang_up() if how == "hang up" else alice.leave(1001)
        house.loop.advance(20.0)
        bob = self.join(house, 2, "bob")
        bob.send(frame(BROADCAST, FIRST))
        house.loop.advance(1.5)
        away = "the MAC belongs to a station that is away, for another "
        (line,) = (line for line in caplog.messages if away in line)
        left_s = int(line.partition(away)[2].split()[0])
        assert RESERVED_S - 25 < left_s < RESERVED_S - 20 + 1
        assert any(away in text for text in bob.notices())

    def test_two_stations_of_one_user_with_one_mac(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        older, asker = self.join(house, 1, "alice"), house.connect(1)
        newer = self.join(house, 2, "alice")
        for _ in range(5):
            older.send(frame(BROADCAST, FIRST))
            newer.send(frame(BROADCAST, FIRST))
            house.loop.advance(1.0)
            assert self.gets(house, asker, older, newer) == [newer]
        assert any("port 2.1, a newer station of the same user" in line for line in caplog.messages)
        assert any("a newer station of the same user" in text for text in older.notices())
        assert newer.notices() == []

    @pytest.mark.parametrize("worker", [1, 2])
    def test_a_claimer_and_a_holder_that_talks(
        self, house: House, worker: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        holder, asker = self.join(house, 1, ""), house.connect(1)
        holder.send(frame(BROADCAST, FIRST))
        claimer = self.join(house, worker, "")
        for _ in range(100):
            claimer.send(frame(BROADCAST, FIRST))
            holder.send(frame(BROADCAST, FIRST))
            assert self.gets(house, asker, holder, claimer) == [holder]
        mac_text = "02:00:00:00:00:01"
        said = [line for line in caplog.messages if mac_text in line and " up " not in line]
        claimers, holders = f"port {worker}.{3 if worker == 1 else 1}", "port 1.1"
        assert len(said) == 2
        assert any(line.startswith(claimers) and holders in line for line in said)
        assert any(
            line.startswith(holders) and f"from which {claimers} sends too" in line for line in said
        )
        assert any("(move_guard)" in text for text in claimer.notices())
        assert any(f"sends from the MAC {mac_text} too" in text for text in holder.notices())
