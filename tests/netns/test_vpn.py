"""The whole VPN: real TAPs in namespaces, wss through real nginx, real uWSGI."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.site import TWO_WORKERS
from tests.support.traffic import PingResult, capture, iperf3, ping
from tests.support.vpn import TAP, Client, Vpn, kill
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

FULL_FRAME = 1500 - 28
"""An ICMP payload that fills an MTU of 1500, so a frame of 1514 bytes."""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_root()
    require_tap()
    require("nginx", "iperf3", "tcpdump", "ping")


@pytest.fixture(scope="module")
def pair(prerequisites: None) -> Iterator[Vpn]:
    """Yield a VPN that two stations have joined over TLS."""
    with Vpn(2) as vpn:
        vpn.join_all()
        vpn.wait_until_reachable(0, 1)
        yield vpn


class TestTwoStations:
    @pytest.mark.parametrize("size", [56, FULL_FRAME])
    def test_ping_loses_nothing(self, pair: Vpn, size: int) -> None:
        result = ping(
            pair.lan.stations[0],
            pair.address(1),
            count=50,
            interval_s=0.02,
            size_bytes=size,
            extra=("-M", "do"),
        )
        assert (result.sent, result.received, result.duplicates) == (50, 50, 0)

    def test_ipv6_works_too(self, pair: Vpn) -> None:
        result = ping(pair.lan.stations[1], pair.address_6(0), count=20, interval_s=0.02)
        assert result.received == 20
        assert ping(pair.lan.stations[1], f"ff02::1%{TAP}", count=2).received == 2

    @pytest.mark.parametrize("extra", [(), ("-R",)], ids=["up", "down"])
    def test_tcp_both_ways_for_five_seconds(self, pair: Vpn, extra: tuple[str, ...]) -> None:
        result = iperf3(
            pair.lan.stations[0], pair.lan.stations[1], pair.address(1), seconds=5, extra=extra
        )
        assert result["end"]["sum_received"]["bytes"] > 1_000_000

    def test_udp_both_ways(self, pair: Vpn) -> None:
        result = iperf3(
            pair.lan.stations[0], pair.lan.stations[1], pair.address(1), extra=("-u", "-b", "5M")
        )
        assert result["end"]["sum"]["lost_percent"] == 0

    def test_a_mac_is_the_taps_own(self, pair: Vpn) -> None:
        for station in pair.lan.stations:
            assert f"mac={format_mac(station.mac(TAP))}" in pair.uwsgi.log_text()


def restarted(vpn: Vpn, client: Client, *options: str) -> PingResult:
    """Start station 1 again; return how it answered station 0, whose caches are as before."""
    assert ping(vpn.lan.stations[0], vpn.address(1)).received == 3
    assert ping(vpn.lan.stations[0], vpn.address_6(1)).received == 3
    assert client.stop() == 0
    vpn.join(1, "", *options)
    return ping(vpn.lan.stations[0], vpn.address(1), count=3, interval_s=0.2)


def test_a_client_that_starts_again_is_reachable_at_once() -> None:
    with Vpn(2) as vpn:
        _, client = vpn.join_all()
        vpn.wait_until_reachable(0, 1)
        before = vpn.lan.stations[1].mac(TAP)
        assert restarted(vpn, client).received == 3
        assert vpn.lan.stations[1].mac(TAP) == before
        assert vpn.lan.stations[0].mac(TAP) != before


def test_a_client_that_comes_back_with_another_mac_is_reachable_at_once() -> None:
    with Vpn(2) as vpn:
        _, client = vpn.join_all()
        vpn.wait_until_reachable(0, 1)
        assert restarted(vpn, client, "--mac", "02:00:00:00:0a:0b").received == 3
        assert ping(vpn.lan.stations[0], vpn.address_6(1)).received == 3


def test_four_stations_on_two_workers_reach_each_other_and_overhear_nothing() -> None:
    with Vpn(4, *TWO_WORKERS) as vpn:
        for index in range(4):
            vpn.join(index, f"ws://{SERVER_ADDRESS}:{8080 + index % 2}/")
        assert {"1.1", "1.2", "2.1", "2.2"} == _ports(vpn)
        for one, other in itertools.permutations(range(4), 2):
            vpn.wait_until_reachable(one, other)
        for one, other in itertools.permutations(range(4), 2):
            result = ping(vpn.lan.stations[one], vpn.address(other), count=5, interval_s=0.02)
            assert result.received == 5, f"{one} to {other}"
        third = capture(vpn.lan.stations[2], TAP, "icmp or udp or tcp")
        with third, capture(vpn.lan.stations[1], TAP, "icmp") as second_hears:
            ping(vpn.lan.stations[0], vpn.address(1), count=20, interval_s=0.02)
            ping(vpn.lan.stations[0], vpn.address(3), count=20, interval_s=0.02)
        assert third.lines == []
        assert len(second_hears.lines) == 40


def _ports(vpn: Vpn) -> set[str]:
    lines = [line for line in vpn.uwsgi.log_text().splitlines() if " up network=" in line]
    return {line.split(" port ")[1].split()[0] for line in lines}


def test_a_station_that_moves_to_the_other_worker_is_reached_within_a_second() -> None:
    mac = ("--mac", "02:00:00:00:0a:0b")
    with Vpn(2, *TWO_WORKERS) as vpn:
        vpn.join(0, f"ws://{SERVER_ADDRESS}:8080/")
        before = vpn.join(1, f"ws://{SERVER_ADDRESS}:8080/", *mac)
        vpn.wait_until_reachable(0, 1)
        assert before.stop() == 0
        vpn.join(1, f"ws://{SERVER_ADDRESS}:8081/", *mac)
        wait_for(
            lambda: ping(vpn.lan.stations[0], vpn.address(1), count=1, wait_s=0.2).received == 1,
            1.0,
            "the station that moved to be reached",
        )


def test_two_networks_on_one_server_do_not_touch() -> None:
    with Vpn(4) as vpn:
        for index, network in enumerate(["blue", "blue", "red", "red"]):
            vpn.join(index, f"wss://alice:wonderland@{SERVER_ADDRESS}/{network}")
        vpn.wait_until_reachable(0, 1)
        vpn.wait_until_reachable(2, 3)
        blue = " or ".join(
            f"ether host {format_mac(vpn.lan.stations[index].mac(TAP))}" for index in (0, 1)
        )
        with (
            capture(vpn.lan.stations[2], TAP, blue) as two,
            capture(vpn.lan.stations[3], TAP, blue) as three,
        ):
            for address in (vpn.address(2), vpn.address(3)):
                assert ping(vpn.lan.stations[0], address, count=2, wait_s=0.3).received == 0
            ping(vpn.lan.stations[0], "10.8.0.255", count=2, wait_s=0.3, extra=("-b",))
            ping(vpn.lan.stations[1], f"ff02::1%{TAP}", count=2, wait_s=0.3)
        assert two.lines == three.lines == []


def test_a_killed_worker_costs_the_others_no_ping_and_its_own_come_back() -> None:
    with Vpn(4, *TWO_WORKERS) as vpn:
        clients = [
            vpn.join(index, f"ws://{SERVER_ADDRESS}:{8080 + index // 2}/") for index in range(4)
        ]
        vpn.wait_until_reachable(0, 1)
        vpn.wait_until_reachable(2, 3)
        vpn.wait_until_reachable(0, 2)
        others = vpn.lan.stations[2].popen(
            ["ping", "-n", "-q", "-i", "0.02", "-c", "200", vpn.address(3)], stdout=-1
        )
        kill(vpn.uwsgi.worker_pids()[0])
        for client in clients[:2]:
            client.wait_until_connected(2)
        for one, other in ((0, 1), (0, 2), (3, 1)):
            vpn.wait_until_reachable(one, other)
        out, _ = others.communicate(timeout=30)
        assert "200 packets transmitted, 200 received" in out


def test_a_server_that_goes_away_and_comes_back_is_found_again() -> None:
    with Vpn(2) as vpn:
        clients = vpn.join_all()
        vpn.wait_until_reachable(0, 1)
        vpn.nginx.stop()
        for client in clients:
            client.wait_for_log("again")
        vpn.nginx.start()
        for client in clients:
            client.wait_until_connected(2)
        vpn.wait_until_reachable(0, 1)
        assert [client.stop() for client in clients] == [0, 0]
        for station in vpn.lan.stations:
            assert TAP not in station.ip("-o link show")
