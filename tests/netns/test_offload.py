"""Offload through the whole VPN: what stations and the LAN get, whoever of them offloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frames import checksum
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.site import HOST_ADDRESS, HOST_ADDRESS_6, BridgeSite
from tests.support.traffic import Capture, ping
from tests.support.transfer import send_datagrams, send_stream
from tests.support.vpn import JOIN_S, TAP, Vpn
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

STREAM_BYTES = 5_000_000
DATAGRAMS = [1400] * 7 + [123]
FULL_FRAME_BYTES = 1514
OFFLOAD, OTHER, PLAIN = range(3)
PAIRS = [(OFFLOAD, OTHER), (OFFLOAD, PLAIN), (PLAIN, OFFLOAD)]


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_root()
    require_tap()
    require("nginx", "tcpdump", "ping")


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def vpn(request: pytest.FixtureRequest, prerequisites: None) -> Iterator[Vpn]:
    """Yield a VPN of two stations that offload and one that does not."""
    with Vpn(3, f"--processes={request.param}") as vpn:
        for index in (OFFLOAD, OTHER):
            assert "offload on" in vpn.join(index).log_text()
        assert "offload off" in vpn.join(PLAIN, "", "--no-offload").log_text()
        for one, other in PAIRS:
            vpn.wait_until_reachable(one, other)
        yield vpn


def address(vpn: Vpn, index: int, version: int) -> str:
    return vpn.address(index) if version == 4 else vpn.address_6(index)


def is_whole(frame: bytes) -> bool:
    """Return whether a captured TCP or UDP packet's checksum is right."""
    if frame[12:14] == b"\x08\x00":
        end = 14 + int.from_bytes(frame[16:18], "big")
        addresses, protocol, packet = frame[26:34], frame[23], frame[34:end]
    else:
        addresses, protocol, packet = frame[22:54], frame[20], frame[54:]
    pseudo = addresses + len(packet).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    return checksum(pseudo + packet + bytes(len(packet) % 2)) == 0


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("one", "other"), PAIRS)
class TestBetweenStations:
    def test_a_stream_arrives_as_it_was_sent(
        self, vpn: Vpn, one: int, other: int, version: int
    ) -> None:
        stations = vpn.lan.stations
        goal = address(vpn, other, version)
        assert send_stream(stations[one], stations[other], goal, STREAM_BYTES)

    def test_so_do_datagrams_sent_as_one(
        self, vpn: Vpn, one: int, other: int, version: int
    ) -> None:
        stations = vpn.lan.stations
        goal = address(vpn, other, version)
        assert send_datagrams(stations[one], stations[other], goal, DATAGRAMS) == DATAGRAMS


@pytest.mark.parametrize("version", [4, 6])
def test_an_offload_station_is_given_super_frames(vpn: Vpn, version: int) -> None:
    frames = captured(vpn, OTHER, version)
    assert max(map(len, frames)) > FULL_FRAME_BYTES


@pytest.mark.parametrize("version", [4, 6])
def test_a_plain_station_is_given_whole_packets(vpn: Vpn, version: int) -> None:
    frames = captured(vpn, PLAIN, version)
    assert max(map(len, frames)) == FULL_FRAME_BYTES
    assert all(map(is_whole, frames))


def captured(vpn: Vpn, index: int, version: int) -> list[bytes]:
    """Send a stream from OFFLOAD to station `index`; return the frames that its TAP was given."""
    stations = vpn.lan.stations
    with Capture(stations[index], TAP, "tcp", direction="in") as seen:
        goal = address(vpn, index, version)
        assert send_stream(stations[OFFLOAD], stations[index], goal, STREAM_BYTES)
    return seen.frames


@pytest.mark.parametrize("version", [4, 6])
def test_where_the_server_does_not_offload_clients_do_not(version: int) -> None:
    with Vpn(2, placeholders={"vpnws-offload": "off"}) as vpn:
        clients = vpn.join_all()
        assert all("offload off" in client.log_text() for client in clients)
        vpn.wait_until_reachable(0, 1)
        stations = vpn.lan.stations
        goal = address(vpn, 1, version)
        assert send_stream(stations[0], stations[1], goal, STREAM_BYTES)


@pytest.fixture(scope="module", params=["on", "off"])
def site(request: pytest.FixtureRequest, prerequisites: None) -> Iterator[BridgeSite]:
    """Yield a bridge, a station that offloads where the server does, and one that does not."""
    with BridgeSite(2, vpnws_offload=request.param) as site:
        site.wait_for_uplink()
        assert f"offload={request.param}" in site.uwsgi.log_text()
        site.join(0)
        site.join(1, "", "--no-offload")
        yield site


class TestWithTheLan:
    """Stations and a host on the bridge that the server's TAP is in."""

    @pytest.mark.parametrize("station", [0, 1])
    @pytest.mark.parametrize("version", [4, 6])
    def test_a_stream_arrives_both_ways(self, site: BridgeSite, station: int, version: int) -> None:
        here = site.lan.stations[station]
        host = HOST_ADDRESS if version == 4 else HOST_ADDRESS_6
        wait_for(lambda: ping(here, host, count=1).received == 1, JOIN_S, "the LAN host to answer")
        assert send_stream(here, site.behind, host, STREAM_BYTES)
        assert send_stream(site.behind, here, address(site, station, version), STREAM_BYTES)

    def test_datagrams_sent_as_one_arrive(self, site: BridgeSite) -> None:
        here = site.lan.stations[0]
        assert send_datagrams(here, site.behind, HOST_ADDRESS, DATAGRAMS) == DATAGRAMS
        assert send_datagrams(site.behind, here, site.address(0), DATAGRAMS) == DATAGRAMS
