"""The mule and its TAPs: what they survive, what they leave behind, what they cost at rest."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.server import Station
from tests.support.frames import mac
from tests.support.prerequisites import require, require_tap
from tests.support.routing import frames_tried, what_arrives
from tests.support.site import (
    BRIDGE_ADDRESS,
    HTTP,
    BridgeSite,
    RouterSite,
    Site,
    TapSite,
    uplink_lines,
    url_of,
)
from tests.support.traffic import ping
from tests.support.unprivileged import as_seen_by_users
from tests.support.uwsgi import Uwsgi
from tests.support.uwsgi_client import UwsgiClient
from tests.support.vpn import TAP, kill
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.raw_client import RawClient

pytestmark = pytest.mark.netns

BACK_S = 2.0
REST_S = 5.0
REST_TRIES = 4
"""So often it is looked for a quiet time: the look at the host after the start is none."""
STATIONS = 100
MAX_BUSY = 0.05
"""Most of one core that workers and mule may take together at rest."""
MAX_WAKES_PER_S = 10
"""Most wake-ups of one process; a loop that polls has many times as many."""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("nginx", "ping")


def reaches(site: Site, address: str) -> bool:
    return ping(site.lan.stations[0], address, count=1, wait_s=0.2).received == 1


def wait_until_reached(site: Site, address: str, within_s: float) -> None:
    wait_for(lambda: reaches(site, address), within_s, f"an answer of {address}")


def join_and_reach(site: TapSite, address: str) -> None:
    """Have the first station join, and see that it reaches `address`."""
    site.wait_for_uplink()
    site.join(0, HTTP)
    wait_until_reached(site, address, 5.0)


class TestAnUplinkSurvives:
    def test_the_mule_killed(self) -> None:
        with BridgeSite(1) as site:
            join_and_reach(site, "10.8.0.100")
            before = device_of(site)
            for lives in (2, 3):
                kill(site.uwsgi.mule_pids()[0])
                wait_until_reached(site, "10.8.0.100", BACK_S)
                assert len(uplink_lines(site.uwsgi.log_text(), "up")) == lives
            assert device_of(site) == before
            assert "master br0" in before

    def test_the_mule_hung(self) -> None:
        with BridgeSite(1) as site:
            join_and_reach(site, "10.8.0.100")
            os.kill(site.uwsgi.mule_pids()[0], signal.SIGSTOP)
            site.uwsgi.wait_for_log("mule has not answered", within_s=30.0)
            site.wait_for_uplink(2)
            wait_until_reached(site, "10.8.0.100", BACK_S)

    def test_the_device_deleted(self) -> None:
        with BridgeSite(1) as site:
            server = site.lan.server
            join_and_reach(site, "10.8.0.100")
            server.ip("link del vpn0")
            time.sleep(2.5)
            (said,) = uplink_lines(site.uwsgi.log_text(), "down")
            assert "there is no TAP device vpn0: make it (ip tuntap add vpn0 mode tap)" in said
            assert not reaches(site, "10.8.0.100")
            server.ip("tuntap add vpn0 mode tap")
            server.ip("link set vpn0 master br0 up")
            wait_until_reached(site, "10.8.0.100", 3.0)
            assert len(uplink_lines(site.uwsgi.log_text(), "up")) == 2
            server.ip("link del vpn0")
            wait_for(lambda: len(uplink_lines(site.uwsgi.log_text(), "down")) == 2, 2.0, "a line")
            server.ip("tuntap add vpn0 mode tap")
            site.wait_for_uplink(3)
        assert len(uplink_lines(site.uwsgi.log_text(), "down")) == 2

    @pytest.mark.parametrize("site_type", [RouterSite, BridgeSite])
    def test_another_device_of_that_name(self, site_type: type[TapSite]) -> None:
        """It has another MAC, and the station still knows the old one for the server's address."""
        with site_type(1) as site:
            server = site.lan.server
            join_and_reach(site, BRIDGE_ADDRESS)
            server.ip("link del vpn0")
            server.ip("tuntap add vpn0 mode tap")
            if site_type is RouterSite:
                server.ip(f"address add {BRIDGE_ADDRESS}/24 dev vpn0")
                server.ip("link set vpn0 up")
            else:
                server.ip("link set vpn0 master br0 up")
            wait_until_reached(site, BRIDGE_ADDRESS, BACK_S)

    @pytest.mark.parametrize("site_type", [RouterSite, BridgeSite])
    def test_another_mac(self, site_type: type[TapSite]) -> None:
        """In a bridge the address may move with it: br0 has the smallest MAC of its ports."""
        with site_type(1) as site:
            join_and_reach(site, BRIDGE_ADDRESS)
            site.lan.server.ip("link set vpn0 address 02:00:00:00:00:01")
            wait_until_reached(site, BRIDGE_ADDRESS, BACK_S)

    def test_another_name_and_another_mtu(self) -> None:
        with RouterSite(1) as site:
            join_and_reach(site, BRIDGE_ADDRESS)
            for change in ("down", "name vpn9 up", "mtu 9000"):
                site.lan.server.ip(f"link set {'vpn9' if 'mtu' in change else 'vpn0'} {change}")
            wait_until_reached(site, BRIDGE_ADDRESS, BACK_S)
            site.uwsgi.wait_for_log("uplink vpn0 is called vpn9 now")
            assert "vpn9 is down" not in site.uwsgi.log_text()
            site.lan.server.ip("link set vpn9 down")
            site.uwsgi.wait_for_log("uplink vpn0 is down, so no frame passes")
            site.lan.server.ip("link set vpn9 name vpn0 up")
            wait_until_reached(site, BRIDGE_ADDRESS, BACK_S)

    def test_another_namespace(self) -> None:
        with RouterSite(1) as site:
            join_and_reach(site, BRIDGE_ADDRESS)
            site.lan.server.ip(f"link set vpn0 netns {site.behind.name}")
            site.behind.ip(f"address add {BRIDGE_ADDRESS}/24 dev vpn0")
            site.behind.ip("link set vpn0 up")
            wait_until_reached(site, BRIDGE_ADDRESS, BACK_S)
            site.uwsgi.wait_for_log("uplink vpn0 is in another network namespace now")
            assert uplink_lines(site.uwsgi.log_text(), "down") == []
            # It is not this server's namespace that ends with the test.
            site.behind.ip(f"link set vpn0 netns {site.lan.server.name}")

    def test_the_device_down_and_up(self) -> None:
        with BridgeSite(1) as site:
            join_and_reach(site, "10.8.0.100")
            site.lan.server.ip("link set vpn0 down")
            assert not reaches(site, "10.8.0.100")
            site.lan.server.ip("link set vpn0 up")
            wait_until_reached(site, "10.8.0.100", 2.0)
            assert uplink_lines(site.uwsgi.log_text(), "down") == []

    def test_a_reload_keeps_the_device_and_its_addresses(self) -> None:
        with RouterSite(1) as site:
            site.wait_for_uplink()
            client = site.join(0, HTTP)
            wait_until_reached(site, "10.8.0.254", 5.0)
            before = device_of(site)
            addresses = site.lan.server.ip("-br address show dev vpn0")
            assert "10.8.0.254/24" in addresses
            os.kill(site.uwsgi.master_pid, signal.SIGHUP)
            site.wait_for_uplink(2)
            client.wait_until_connected(2)
            wait_until_reached(site, "10.8.0.254", 5.0)
            assert device_of(site) == before
            assert site.lan.server.ip("-br address show dev vpn0") == addresses

    def test_workers_killed_are_no_concern_of_the_lan(self) -> None:
        with BridgeSite(1) as site:
            join_and_reach(site, "10.8.0.100")
            for pid in site.uwsgi.worker_pids():
                kill(pid)
            wait_until_reached(site, "10.8.0.100", 10.0)
            assert len(uplink_lines(site.uwsgi.log_text(), "up")) == 1


class MadeByAnAdmin(BridgeSite):
    """A bridge whose vpn0 was there before the server."""

    def prepare(self) -> None:
        super().prepare()
        self.lan.server.ip("tuntap add vpn0 mode tap")


class TestTheEnd:
    def test_a_stop_removes_the_device(self) -> None:
        with BridgeSite(0) as site:
            site.wait_for_uplink()
            assert "vpn0" in site.lan.server.ip("-br link")
            site.uwsgi.stop()
            assert "vpn0" not in site.lan.server.ip("-br link")

    def test_a_stop_leaves_a_device_that_somebody_else_made(self) -> None:
        with MadeByAnAdmin(0) as site:
            site.wait_for_uplink()
            site.uwsgi.stop()
            assert "vpn0" in site.lan.server.ip("-br link")


def test_two_taps_are_two_networks() -> None:
    taps = "blue:vpn-blue red:vpn-red"
    with BridgeSite(2, vpnws_tap=taps, vpnws_exec="test $VPNWS_TAP = vpn-$VPNWS_NETWORK") as site:
        site.wait_for_uplink(2)
        server = site.lan.server
        for index, network in enumerate(("blue", "red")):
            site.join(index, url_of(network))
        everything = list(frames_tried(bytes(6), bytes(6)))
        for station, mine, other in ((0, "vpn-blue", "vpn-red"), (1, "vpn-red", "vpn-blue")):
            here = site.lan.stations[station]
            assert what_arrives(here, server, mine) == everything
            assert what_arrives(here, server, other) == []
            assert what_arrives(server, here, TAP, mine) == everything
            assert what_arrives(server, here, TAP, other) == []


class TestAtRest:
    def test_a_hundred_stations_and_a_quiet_tap_cost_next_to_nothing(self) -> None:
        with BridgeSite(0) as site:
            site.wait_for_uplink()
            with ExitStack() as stack:
                for number in range(1, STATIONS + 1):
                    stack.enter_context(quiet_station(site.uwsgi.socket_path, number))
                assert site.uwsgi.log_text().count(" up network=") == STATIONS + 1
                rest([*site.uwsgi.worker_pids(), *site.uwsgi.mule_pids()])

    def test_a_mule_without_a_tap_does_nothing_and_may_do_nothing(self, tmp_path: Path) -> None:
        require("setpriv", "unshare")
        with Uwsgi(uid="nobody", workers=1, wrapper=as_seen_by_users(tmp_path)) as server:
            mule, *_ = wait_for(server.mule_pids, 5.0, "the mule")
            time.sleep(1.0)
            before = wakes_of(mule)
            time.sleep(2.0)
            assert wakes_of(mule) - before <= 2
            assert "CapEff:\t0000000000000000" in Path(f"/proc/{mule}/status").read_text()


def quiet_station(path: Path, number: int) -> RawClient:
    """Return a station that has joined through the unix socket, which is in no namespace."""
    client = UwsgiClient(path)
    assert client.ask({"HTTP_X_VPN_WS_MAC": format_mac(mac(number))}).status == 101
    Station(client, mac(number)).joined()
    return client


def rest(pids: Sequence[int]) -> None:
    """See that these processes sleep, once what belongs to the start is over."""
    time.sleep(1.0)
    used = ""
    for _ in range(REST_TRIES):
        seconds, wakes = used_in(REST_S, pids)
        used = f"CPU seconds and wake-ups in {REST_S:g} s: {seconds} {wakes}"
        print(used)
        if sum(seconds) < MAX_BUSY * REST_S and max(wakes) < MAX_WAKES_PER_S * REST_S:
            return
    pytest.fail(f"not at rest: {used}")


def used_in(duration_s: float, pids: Sequence[int]) -> tuple[list[float], list[int]]:
    """Return the CPU seconds and wake-ups of each process meanwhile."""
    before = [(seconds_of(pid), wakes_of(pid)) for pid in pids]
    time.sleep(duration_s)
    after = [(seconds_of(pid), wakes_of(pid)) for pid in pids]
    pairs = list(zip(before, after, strict=True))
    return [new[0] - old[0] for old, new in pairs], [new[1] - old[1] for old, new in pairs]


def seconds_of(pid: int) -> float:
    """Return the CPU time that a process has used, user and system together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakes_of(pid: int) -> int:
    """Return how often a process, with all its threads, has gone to sleep by itself."""
    statuses = (task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(
        int(line.split()[1])
        for status in statuses
        for line in status.splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def device_of(site: Site) -> str:
    """Return the kernel's number, flags and bridge of vpn0, as `ip` shows them."""
    shown = site.lan.server.ip("-o link show dev vpn0")
    kept = [word for word in shown.split() if word.rstrip(":").isdigit() or word == "br0"]
    return f"{kept[0]} " + ("master br0" if "br0" in kept else "")
