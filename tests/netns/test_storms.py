"""Storms with real TAPs: a LAN that is joined twice, and video that exceeds the storm limit."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import Crew
from tests.support.frames import EXPERIMENT, frame, mac
from tests.support.netns import SERVER_ADDRESS, make_bridge
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.site import raw_socket
from tests.support.traffic import ping
from tests.support.vpn import TAP, Client, Vpn
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    import threading

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

URL = f"ws://{SERVER_ADDRESS}:8080"
SECOND_TAP = "tap1"
CIRCULATING = 500
"""A loop brings at least this many frames a second; nothing else here does."""
GROUP = "239.1.1.1", 5004
VIDEO_BYTES = 1316
VIDEO_PER_S = 2850
"""30 Mbit/s."""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_root()
    require_tap()
    require("nginx", "ping")


def received(namespace: Namespace, device: str) -> int:
    path = f"/sys/class/net/{device}/statistics/rx_packets"
    return int(namespace.run(["cat", path]).stdout)


def circulates(namespace: Namespace) -> bool:
    before = received(namespace, TAP) + received(namespace, SECOND_TAP)
    time.sleep(1.0)
    return received(namespace, TAP) + received(namespace, SECOND_TAP) - before > CIRCULATING


def test_a_lan_that_is_joined_twice_is_said_and_others_keep_working() -> None:
    with Vpn(3, placeholders={"vpnws-station-limit": "100"}) as vpn, ExitStack() as clients:
        lan, one, _other = vpn.lan.stations
        vpn.join(1, URL)
        vpn.join(2, URL)
        for device in (TAP, SECOND_TAP):
            clients.enter_context(Client(lan, device, URL)).wait_until_connected()
        vpn.wait_until_reachable(1, 2)
        make_bridge(lan, TAP, SECOND_TAP)
        known, asking = mac(77), mac(78)
        with raw_socket(lan, SECOND_TAP) as there, raw_socket(lan, TAP) as here:
            there.send(frame(BROADCAST, known, kind=EXPERIMENT))

            def feed() -> None:
                # Frames get lost on their way round, and the last one may.
                while not feeder.stop.wait(0.1):
                    here.send(frame(known, asking, kind=EXPERIMENT))

            for _ in range(20):
                here.send(frame(known, asking, kind=EXPERIMENT))
            feeder = Crew(feed)
            with feeder:
                wait_for(lambda: circulates(lan), 10, "frames to go round")
                result = ping(one, vpn.address(2), count=60, interval_s=0.05)
                assert circulates(lan)
        assert result.received >= 57
        vpn.uwsgi.wait_for_log("one LAN is joined twice")


def test_video_beyond_the_limit_leaves_its_sender_arp_and_nd() -> None:
    with Vpn(2) as vpn:
        vpn.join(0, URL)
        vpn.join(1, URL)
        vpn.wait_until_reachable(0, 1)
        sender = vpn.lan.stations[0]
        video = Crew(lambda: _send_video(sender, vpn.address(0), video.stop))
        with video:
            vpn.uwsgi.wait_for_log("(storm)")
            for address in (vpn.address(1), vpn.address_6(1)) * 5:
                sender.ip(f"neigh flush dev {TAP}")
                assert ping(sender, address, count=2).received


def _send_video(namespace: Namespace, address: str, stop: threading.Event) -> None:
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as video:
        video.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        began_s, count = time.monotonic(), 0
        while not stop.wait(0.005):
            while count < (time.monotonic() - began_s) * VIDEO_PER_S:
                video.sendto(bytes(VIDEO_BYTES), GROUP)
                count += 1
