"""Stations reach each other: same worker, other worker, both receivers, all sizes."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.live.server import Station, TwoWorkers, reach
from tests.support.frames import frame, mac
from tests.support.raw_frames import PING, encode_frame
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import BROADCAST, format_mac

pytestmark = pytest.mark.live

WORKERS = [(1, 1), (1, 2)]


@pytest.mark.parametrize(("one", "other"), WORKERS)
def test_frames_of_all_sizes_pass(either: TwoWorkers, one: int, other: int) -> None:
    with either.station(one) as a, either.station(other) as b:
        for size in (14, 59, 125, 126, 1514, 1518, 9014, 32768, 65535):
            b.expect(a.send(b.mac, size))
            a.expect(b.send(BROADCAST, size))


def test_all_pairs_and_nobody_else_hears_unicast(either: TwoWorkers) -> None:
    stations = [either.station(worker) for worker in (1, 1, 2, 2)]
    for a, b in itertools.permutations(stations, 2):
        sent = a.send(b.mac, mark=b"only you")
        b.expect(sent)
    time.sleep(0.2)
    for station in stations:
        assert station.is_quiet()
        station.client.close()


def test_many_frames_in_one_write_arrive_in_order(either: TwoWorkers) -> None:
    with either.station(1) as a, either.station(2) as b:
        frames = [frame(b.mac, a.mac, 60) + i.to_bytes(4, "big") for i in range(3000)]
        a.client.send_bytes(b"".join(encode_frame(2, one) for one in frames))
        assert [b.client.read_message() for _ in frames] == frames


def test_a_station_that_moves_to_the_other_worker_is_followed(either: TwoWorkers) -> None:
    with either.station(1) as other, either.station(1, number=500) as before:
        reach(other, before)
        with either.station(2, number=500) as after:
            # It is followed once it speaks and is silent at its old place.
            def is_followed() -> bool:
                after.send(other.mac)
                return after.hears(other.send(after.mac, mark=b"moved"), 0.05)

            wait_for(is_followed, 10.0, "the moved station to be followed")
            sent = other.send(after.mac, mark=b"and stays so")
            after.expect(sent)
            assert not before.hears(sent)


def test_a_port_that_goes_leaves_no_black_hole(either: TwoWorkers) -> None:
    with either.station(1) as other, either.station(2, number=501) as before:
        reach(other, before)
        before.client.close()
        with either.connect(1) as silent:
            silent.upgrade(headers=[("X-vpn-ws-MAC", format_mac(mac(502)))])

            def is_flooded() -> bool:
                sent = other.send(before.mac, mark=b"where are you")
                try:
                    return silent.read_message(0.2) == sent
                except TimeoutError:
                    return False

            wait_for(is_flooded, 3.0, "frames for a station that went to be flooded")


def test_networks_do_not_touch(either: TwoWorkers) -> None:
    blue = [either.named_station({"VPNWS_NETWORK": "blue"}) for _ in range(4)]
    red = [either.named_station({"VPNWS_NETWORK": "red"}) for _ in range(4)]
    sent = [blue[0].send(), blue[0].send(red[1].mac), blue[1].send(blue[2].mac)]
    for station in blue[2:3]:
        station.expect(sent[2])
    time.sleep(0.2)
    for station in red:
        assert station.is_quiet()
    for station in blue + red:
        station.client.close()


def test_a_named_stations_mac_cannot_be_taken(either: TwoWorkers) -> None:
    with (
        either.named_station({"REMOTE_USER": "alice"}, number=600) as alice,
        either.named_station({"REMOTE_USER": "mallory"}, number=600) as mallory,
        either.station(1) as other,
    ):
        mallory.send(mark=b"I am alice")
        sent = other.send(alice.mac, mark=b"secret")
        alice.expect(sent)
        assert not mallory.hears(sent)


def test_an_unmasked_ping_is_taken_as_the_c_client_sends_it(either: TwoWorkers) -> None:
    with either.station(1) as station, either.station(2) as other:
        station.client.send_bytes(b"\x89\x00")
        station.pong()
        reach(station, other)


def test_a_pings_payload_comes_back_on_stream_and_is_lost_on_native(either: TwoWorkers) -> None:
    """uWSGI's own pong is empty: a documented difference."""
    with either.station(1) as station:
        station.client.send_frame(b"payload", PING)
        assert station.pong().payload == (b"payload" if either.receiver == "stream" else b"")


def test_the_log_tells_who_came_and_went(either: TwoWorkers) -> None:
    variables = {"REMOTE_USER": "al ice\n", "DN": "CN=laptop", "REMOTE_ADDR": "192.0.2.7"}
    with either.named_station(variables, number=700):
        either.wait_for_log("user=al?ice? dn=CN=laptop addr=192.0.2.7 mac=02:00:00:00:02:bc")


@pytest.mark.parametrize(("worker", "other"), WORKERS)
def test_a_station_without_a_mac_hears_nothing_before_its_first_frame(
    either: TwoWorkers, worker: int, other: int
) -> None:
    """vpn-ws's tornado client connects before its TAP is up, and a frame would end it."""
    with either.station(other) as sender, either.connect(worker) as client:
        assert client.upgrade().status == 101
        late = Station(client, mac(503)).joined()
        sender.send(mark=b"too early")
        assert late.is_quiet()
        reach(late, sender)
        late.expect(sender.send(mark=b"in time"))
        either.wait_for_log("so nothing is flooded to it before its first frame")
