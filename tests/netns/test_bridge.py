"""Bridge mode: the server's TAP in a Linux bridge, a LAN behind it, bridging clients."""

from __future__ import annotations

import itertools
import socket
from contextlib import ExitStack, closing
from functools import partial
from struct import pack
from typing import TYPE_CHECKING

import pytest

from tests.support import frames
from tests.support.frames import DOT1AD, DOT1Q, EXPERIMENT, Tag, mac, tag_bytes, tagged
from tests.support.netns import Namespace
from tests.support.prerequisites import require, require_tap
from tests.support.site import (
    BRIDGE_ADDRESS,
    HOST_ADDRESS,
    HOST_ADDRESS_6,
    HTTP,
    SECOND_HTTP,
    TWO_WORKERS,
    BridgeSite,
    Dnsmasq,
    add_branch,
    heard,
    location,
    raw_socket,
    url_of,
)
from tests.support.traffic import capture, ping
from tests.support.vpn import TAP
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.netns

MANY = 20
ONE_TAG, TWO_TAGS = ((DOT1Q, 100),), ((DOT1AD, 7), (DOT1Q, 100))
# No kernel looks into such a frame.
frame = partial(frames.frame, kind=EXPERIMENT)
FOLLOWED_S = 15.0
"""Far below the ageing time, after which anything is reached."""
MDNS_PORT = 5353
MDNS_GROUPS = {socket.AF_INET: "224.0.0.251", socket.AF_INET6: "ff02::fb"}
MDNS_QUESTION = (
    bytes.fromhex("000000000001000000000000") + b"\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01"
)
LOCATIONS = location("branch", VPNWS_BRIDGE="on") + location("one")


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("nginx", "ping", "dnsmasq", "busybox", "tcpdump")


@pytest.fixture(scope="module")
def site(prerequisites: None) -> Iterator[BridgeSite]:
    """Yield a bridge with a LAN host, and two stations on two workers."""
    with BridgeSite(3, *TWO_WORKERS, locations=LOCATIONS) as site:
        site.wait_for_uplink()
        site.join(0, HTTP)
        site.join(1, SECOND_HTTP)
        site.wait_until_reachable(0, 1)
        yield site


def speak(sender: socket.socket, first: int) -> set[bytes]:
    """Send a broadcast from each of the MACs from `first` on; return these frames."""
    sent = {frame(BROADCAST, source) for source in macs(first)}
    for one in sent:
        sender.send(one)
    return sent


def macs(first: int) -> list[bytes]:
    return [mac(first + number) for number in range(MANY)]


def lan_address(family: int) -> str:
    return HOST_ADDRESS if family == 4 else HOST_ADDRESS_6


class TestStationsAndTheLan:
    @pytest.mark.parametrize("family", [4, 6])
    @pytest.mark.parametrize("station", [0, 1])
    def test_they_ping_each_other(self, site: BridgeSite, station: int, family: int) -> None:
        there = site.address(station) if family == 4 else site.address_6(station)
        for namespace, address in (
            (site.lan.stations[station], lan_address(family)),
            (site.behind, there),
            (site.lan.server, there),
        ):
            assert ping(namespace, address, count=5, interval_s=0.02).received == 5

    def test_stations_ping_each_other_and_the_bridge_itself(self, site: BridgeSite) -> None:
        for address in (site.address(1), site.address_6(1), BRIDGE_ADDRESS):
            result = ping(site.lan.stations[0], address, count=5, interval_s=0.02)
            assert (result.received, result.duplicates) == (5, 0)

    def test_many_macs_behind_the_uplink_are_learned(self, site: BridgeSite) -> None:
        station, third = site.lan.stations[0], site.lan.stations[1]
        with (
            closing(raw_socket(site.behind, "eth0")) as lan,
            closing(raw_socket(station, TAP)) as near,
        ):
            sent = speak(lan, 0x100)
            assert heard(near, sent) == sent
            back = {frame(one, station.mac(TAP)) for one in macs(0x100)}
            with capture(third, TAP, f"ether src {format_mac(station.mac(TAP))}") as overheard:
                for one in back:
                    near.send(one)
                assert heard(lan, back) == back
            assert overheard.lines == []

    def test_a_lan_host_hears_only_what_is_for_it(self, site: BridgeSite) -> None:
        with capture(site.behind, "eth0", "icmp") as overheard:
            assert ping(site.lan.stations[0], site.address(1), count=3).received == 3
        assert overheard.lines == []

    @pytest.mark.parametrize(
        ("tags", "size"),
        # The kernel sends the 4 bytes past 1514 for an outer 802.1Q tag only.
        [(ONE_TAG, 64), (ONE_TAG, 1518), (TWO_TAGS, 64), (TWO_TAGS, 1514)],
    )
    def test_tagged_frames_pass_unharmed(
        self, site: BridgeSite, tags: tuple[Tag, ...], size: int
    ) -> None:
        source = mac(0x300)
        station = site.lan.stations[0]
        with (
            closing(raw_socket(site.behind, "eth0")) as lan,
            closing(raw_socket(station, TAP)) as near,
        ):
            for sender, listener, interface in ((lan, station, TAP), (near, site.behind, "eth0")):
                address = source if sender is lan else station.mac(TAP)
                plain = frame(BROADCAST, address, size - len(tag_bytes(*tags)))
                sent = tagged(plain, *tags)
                # A packet socket would be given the frame without its outer tag; a capture is not.
                with capture(listener, interface, f"ether src {format_mac(address)}") as caught:
                    sender.send(sent)
                assert sent in caught.frames

    @pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
    def test_mdns_crosses_both_ways(self, site: BridgeSite, family: socket.AddressFamily) -> None:
        station, lan = (site.lan.stations[1], TAP), (site.behind, "eth0")
        for sender, listener in ((station, lan), (lan, station)):
            with (
                closing(sender[0].call(partial(mdns_socket, family, sender[1]))) as here,
                closing(listener[0].call(partial(mdns_socket, family, listener[1]))) as there,
            ):
                here.sendto(MDNS_QUESTION, (MDNS_GROUPS[family], MDNS_PORT))
                assert there.recv(2000) == MDNS_QUESTION

    def test_dhcp_from_the_lan_reaches_a_station(self, site: BridgeSite, tmp_path: Path) -> None:
        station = site.lan.stations[2]
        script = tmp_path / "lease.sh"
        script.write_text(
            '#!/bin/sh\n[ "$1" != bound ] || ip address add "$ip/$mask" dev "$interface"\n'
        )
        script.chmod(0o755)
        with ExitStack() as stack:
            stack.enter_context(Dnsmasq(site.behind, "eth0"))
            client = site.client(station, HTTP)
            station.run(f"busybox udhcpc -n -q -f -t 5 -i {TAP} -s {script}")
            leased = station.ip(f"-4 -br address show dev {TAP}").split()[2]
            assert leased.startswith("10.8.0.2")
            assert leased.endswith("/24")
            assert ping(station, HOST_ADDRESS).received == 3
            assert client.stop() == 0


class TestABridgingClient:
    def test_many_macs_behind_it_and_the_lan_reach_each_other(self, site: BridgeSite) -> None:
        with ExitStack() as stack:
            branch, there, lan = self.join_branch(site, stack, "branch")
            sent = speak(there, 0x400)
            assert heard(lan, sent) == sent
            other = site.lan.stations[0]
            back = {frame(one, mac(0x302)) for one in macs(0x400)}
            lan.send(frame(BROADCAST, mac(0x302)))
            with capture(other, TAP, f"ether src {format_mac(mac(0x302))}") as overheard:
                for one in back:
                    lan.send(one)
                assert heard(there, back) == back
            assert set(overheard.frames) & back == set()
            branch.ip("address add 10.8.0.150/24 dev eth0")
            branch.ip("address add fd08::150/64 dev eth0 nodad")
            for address in (HOST_ADDRESS, HOST_ADDRESS_6, site.address(0), site.address_6(1)):
                assert ping(branch, address, count=3, interval_s=0.02).received == 3
            assert "bridge-refused" not in site.uwsgi.log_text()
            assert ",bridge " in site.uwsgi.log_text()

    def test_a_host_that_moves_from_the_lan_to_the_branch_and_back_is_followed(
        self, site: BridgeSite
    ) -> None:
        host, station = mac(0x700), site.lan.stations[0]
        with ExitStack() as stack:
            _, there, lan = self.join_branch(site, stack, "branch")
            asker = stack.enter_context(closing(raw_socket(station, TAP)))
            sizes = itertools.count(60)

            def ask() -> bytes:
                """Ask the host with a frame that is like no other; return it."""
                question = frame(host, station.mac(TAP), next(sizes))
                asker.send(question)
                return question

            def is_reached(place: socket.socket) -> bool:
                """Whether the host, which now and then speaks at `place`, is asked there."""
                place.send(frame(BROADCAST, host))
                question = ask()
                return heard(place, {question}, 0.1) == {question}

            for place in (lan, there, lan, there):
                wait_for(partial(is_reached, place), FOLLOWED_S, "the host to be reached")
                with closing(raw_socket(site.lan.stations[1], TAP)) as third:
                    assert heard(third, {ask()}, 0.2) == set(), "it goes to the host alone"

    def test_without_the_right_no_more_than_one_mac_passes(self, site: BridgeSite) -> None:
        with ExitStack() as stack:
            _, there, lan = self.join_branch(site, stack, "one")
            sent = speak(there, 0x500)
            assert len(heard(lan, sent, 1.0)) <= 1
            assert "bridge-refused" in site.uwsgi.log_text()
        site.uwsgi.wait_for_log("station_limit=")

    @staticmethod
    def join_branch(
        site: BridgeSite, stack: ExitStack, path: str
    ) -> tuple[Namespace, socket.socket, socket.socket]:
        """Join station 2 as a bridge with a LAN behind it, through nginx's location `path`.

        Return that LAN's namespace, a packet socket there, and one on the server's LAN.
        """
        station = site.lan.stations[2]
        branch = stack.enter_context(Namespace("branch"))
        add_branch(station, branch)
        stack.callback(station.ip, "link del br0")
        stack.callback(station.ip, "link del branch0")
        client = site.client(station, url_of(path), "--bridge", "br0")
        stack.callback(client.stop)
        wait_for(lambda: "master br0" in station.ip(f"link show dev {TAP}"), 2.0, "the TAP in br0")
        there = stack.enter_context(closing(raw_socket(branch, "eth0")))
        lan = stack.enter_context(closing(raw_socket(site.behind, "eth0")))
        return branch, there, lan


def test_many_macs_behind_a_bridging_client_are_bounded() -> None:
    with BridgeSite(1, locations=LOCATIONS, vpnws_bridge_limit="4") as site, ExitStack() as stack:
        site.wait_for_uplink()
        branch = stack.enter_context(Namespace("branch"))
        station = site.lan.stations[0]
        add_branch(station, branch)
        client = site.client(station, url_of("branch"), "--bridge", "br0")
        with (
            closing(raw_socket(site.behind, "eth0")) as lan,
            closing(raw_socket(branch, "eth0")) as there,
        ):
            sent = speak(there, 0x600)
            # The TAP's own MAC, which was announced, has one of the four places.
            assert 0 < len(heard(lan, sent, 1.0)) <= 4
        assert client.stop() == 0


def mdns_socket(family: socket.AddressFamily, interface: str) -> socket.socket:
    """Return a socket as an mDNS responder has it at `interface` (RFC 6762)."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", MDNS_PORT))
    made.settimeout(3.0)
    index = socket.if_nametoindex(interface)
    group = socket.inet_pton(family, MDNS_GROUPS[family])
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + pack("@i", index))
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    else:
        here = pack("@4s4si", group, bytes(4), index)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    return made
