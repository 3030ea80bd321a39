"""Router mode: stations reach the uplink and never each other; rights by station; no groups."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.prerequisites import require, require_tap
from tests.support.routing import (
    connects,
    datagram_arrives,
    frames_tried,
    masquerade,
    neighbours,
    what_arrives,
)
from tests.support.site import (
    BRIDGE_ADDRESS,
    BRIDGE_ADDRESS_6,
    HTTP,
    INTERNET_ADDRESS,
    INTERNET_ADDRESS_6,
    SECOND_HTTP,
    TWO_WORKERS,
    BridgeSite,
    RouterSite,
    location,
    url_of,
)
from tests.support.traffic import capture, ping
from tests.support.vpn import TAP

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

ALL = list(frames_tried(bytes(6), bytes(6)))
PAIRS = [(0, 1), (1, 0), (0, 2), (2, 0)]
"""Stations 0 and 1 are on one worker, 2 is on the other."""
ELSEWHERE, ELSEWHERE_6 = "203.0.113.9", "2001:db8:9::9"


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("nginx", "ping", "nft", "tcpdump")


@pytest.fixture(scope="module")
def site(prerequisites: None) -> Iterator[RouterSite]:
    """Yield a router with masquerade and three stations on two workers."""
    with RouterSite(3, *TWO_WORKERS) as site:
        masquerade(site.lan.server)
        site.wait_for_uplink()
        for index, url in enumerate((HTTP, HTTP, SECOND_HTTP)):
            site.join(index, url)
            site.route(index)
        yield site


class TestTheInternet:
    @pytest.mark.parametrize("station", [0, 1, 2])
    def test_every_station_has_it(self, site: RouterSite, station: int) -> None:
        here = site.lan.stations[station]
        for address in (INTERNET_ADDRESS, INTERNET_ADDRESS_6):
            assert ping(here, address, count=5, interval_s=0.02).received == 5
            assert connects(here, site.behind, address)
            assert datagram_arrives(here, site.behind, address)

    def test_it_sees_the_router_and_no_station(self, site: RouterSite) -> None:
        with capture(site.behind, "eth0", "icmp or icmp6") as seen:
            for address in (INTERNET_ADDRESS, INTERNET_ADDRESS_6):
                assert ping(site.lan.stations[0], address, count=2).received == 2
        requests = [line for line in seen.lines if "echo request" in line]
        assert len(requests) == 4
        assert not [line for line in requests if "10.8.0." in line or "fd08:" in line]

    def test_nobody_there_reaches_a_station_unasked(self, site: RouterSite) -> None:
        site.behind.ip("route replace 10.8.0.0/24 via 198.51.100.1")
        site.behind.ip("-6 route replace fd08::/64 via 2001:db8:1::1")
        for address in (site.address(0), site.address_6(0)):
            assert not connects(site.behind, site.lan.stations[0], address)
            assert not datagram_arrives(site.behind, site.lan.stations[0], address)


class TestStationsAmongThemselves:
    def test_the_uplink_hears_all_that_they_try(self, site: RouterSite) -> None:
        """Or the tests below could not fail."""
        for station in site.lan.stations:
            assert what_arrives(station, site.lan.server, "vpn0") == ALL

    @pytest.mark.parametrize(("one", "other"), PAIRS)
    def test_no_frame_of_any_kind_passes(self, site: RouterSite, one: int, other: int) -> None:
        assert what_arrives(site.lan.stations[one], site.lan.stations[other]) == []

    @pytest.mark.parametrize(("one", "other"), PAIRS)
    def test_no_arp_and_no_nd_is_answered(self, site: RouterSite, one: int, other: int) -> None:
        here, there = site.lan.stations[one], site.lan.stations[other]
        with capture(there, TAP, f"ether src {here.mac(TAP).hex(':')}") as overheard:
            for address in (site.address(other), site.address_6(other)):
                assert ping(here, address, count=1, wait_s=0.3).received == 0
            ping(here, "10.8.0.255", count=1, wait_s=0.3, extra=("-b",))
            ping(here, f"ff02::1%{TAP}", count=1, wait_s=0.3)
        assert overheard.lines == []
        known = neighbours(here)
        assert f"{site.address(other)} " not in known
        assert f"{site.address_6(other)} " not in known

    @pytest.mark.parametrize(("one", "other"), PAIRS)
    def test_neither_tcp_nor_udp(self, site: RouterSite, one: int, other: int) -> None:
        here, there = site.lan.stations[one], site.lan.stations[other]
        for address in (site.address(other), site.address_6(other)):
            assert not connects(here, there, address)
            assert not datagram_arrives(here, there, address)

    @pytest.mark.parametrize(("one", "other"), PAIRS)
    def test_nor_by_way_of_the_router(self, site: RouterSite, one: int, other: int) -> None:
        here, there = site.lan.stations[one], site.lan.stations[other]
        four, six = f"{site.address(other)}/32", f"{site.address_6(other)}/128"
        here.ip(f"route replace {four} via {BRIDGE_ADDRESS}")
        here.ip(f"-6 route replace {six} via {BRIDGE_ADDRESS_6}")
        try:
            for address in (site.address(other), site.address_6(other)):
                assert not connects(here, there, address)
                assert not datagram_arrives(here, there, address)
        finally:
            here.ip(f"route del {four}")
            here.ip(f"-6 route del {six}")

    def test_the_router_answers_arp_for_itself_alone(self, site: RouterSite) -> None:
        here = site.lan.stations[0]
        for address in (BRIDGE_ADDRESS, "10.8.0.99", INTERNET_ADDRESS):
            ping(here, address, count=1, wait_s=0.3)
        known = [line.split()[0] for line in neighbours(here).splitlines()]
        assert BRIDGE_ADDRESS in known
        assert {"10.8.0.99", INTERNET_ADDRESS}.isdisjoint(known)


def test_a_station_reaches_the_networks_of_its_allow_and_no_other() -> None:
    blocks = location("limited", VPNWS_ALLOW="198.51.100.0/24,2001:db8:1::/64")
    with RouterSite(2, locations=blocks + location("all")) as site:
        site.wait_for_uplink()
        masquerade(site.lan.server)
        for address in (f"{ELSEWHERE}/32", f"{ELSEWHERE_6}/128"):
            site.behind.ip(f"address add {address} dev lo")
        site.lan.server.ip(f"route add {ELSEWHERE} via {INTERNET_ADDRESS}")
        site.lan.server.ip(f"-6 route add {ELSEWHERE_6} via {INTERNET_ADDRESS_6}")
        for index, path in enumerate(("limited", "all")):
            site.join(index, url_of(path))
            site.route(index)
        limited, free = site.lan.stations
        for address in (INTERNET_ADDRESS, INTERNET_ADDRESS_6):
            assert ping(limited, address).received == 3
            assert connects(limited, site.behind, address)
        for address in (ELSEWHERE, ELSEWHERE_6, BRIDGE_ADDRESS, BRIDGE_ADDRESS_6):
            assert ping(limited, address, count=2, wait_s=0.3).received == 0
            assert ping(free, address, count=2).received == 2
        for address in (ELSEWHERE, ELSEWHERE_6):
            assert not connects(limited, site.behind, address)
            assert not datagram_arrives(limited, site.behind, address)
            assert connects(free, site.behind, address)
        assert "allow:198.51.100.0/24+2001:db8:1::/64" in site.uwsgi.log_text()
        assert BRIDGE_ADDRESS in neighbours(limited)


def test_a_stations_role_is_the_web_servers_to_give() -> None:
    roles = {
        "isolated": "isolated",
        "team": "community:team",
        "crew": "community:crew",
        "admin": "promiscuous",
    }
    blocks = "".join(location(path, VPNWS_ROLE=role) for path, role in roles.items())
    members = ["isolated", "team", "team", "crew", "admin"]
    with RouterSite(5, locations=blocks) as site:
        site.wait_for_uplink()
        for index, path in enumerate(members):
            site.join(index, url_of(path))
        for one, other in itertools.permutations(range(5), 2):
            pair = {members[one], members[other]}
            result = ping(
                site.lan.stations[one],
                site.address(other),
                count=2,
                interval_s=0.02,
                wait_s=0.3,
            )
            may = "admin" in pair or pair == {"team"}
            assert (result.received > 0) == may, f"{one} to {other}: {pair}"
        for index in range(5):
            assert ping(site.lan.stations[index], BRIDGE_ADDRESS, count=2).received == 2


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        ("vpnws_no_broadcast", [name for name in ALL if "broadcast" not in name]),
        ("vpnws_no_multicast", [name for name in ALL if "multicast" not in name]),
    ],
)
def test_groups_are_really_dropped(setting: str, left: list[str]) -> None:
    with BridgeSite(2, **{setting: "on"}) as site:
        site.wait_for_uplink()
        clients = [site.join(index, HTTP) for index in range(2)]
        one, other = site.lan.stations
        for listener, interface in ((other, TAP), (site.behind, "eth0")):
            assert what_arrives(one, listener, interface) == left
        for client in clients:
            assert client.stop() == 0
        site.uwsgi.wait_for_log(setting.removeprefix("vpnws_") + "=")
