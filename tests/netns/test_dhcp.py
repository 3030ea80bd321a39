"""DHCP as docs/modes.md sets it up: a whole class asks at once, and a lease is renewed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.markdown import blocks, commands
from tests.support.prerequisites import require, require_tap
from tests.support.routing import MODES_PAGE
from tests.support.service import Service
from tests.support.site import BRIDGE_ADDRESS, HTTP, RouterSite
from tests.support.vpn import TAP
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

STUDENTS = 20
LEASES_S = 30.0
BLOCKS = blocks(MODES_PAGE.read_text())
OBTAINED = "obtained from"


def told(program: str) -> str:
    """Return the page's last command for a program, which is the one of mode router."""
    found = [command.text for block in BLOCKS for command in commands(block)]
    return next(text for text in reversed(found) if program in text).removesuffix(" &")


class PageService(Service):
    """A command of the page, with this test's files."""

    leaves_nothing = False

    def __init__(self, namespace: Namespace, program: str, here: Path) -> None:
        super().__init__(namespace)
        self.name = program
        self._command = told(program).replace("/tmp/", f"{here}/")

    def command(self) -> str:
        """Return the command line."""
        return self._command

    def is_ready(self) -> bool:
        """Return whether it has said anything."""
        return bool(self.log_text())


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require_tap()
    require("dnsmasq", "busybox", "dhclient")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (script,) = (block.text for block in BLOCKS if "/tmp/lease.sh" in block.tags)
    (tmp_path / "lease.sh").write_text(script + "\n")
    (tmp_path / "lease.sh").chmod(0o755)
    return tmp_path


def test_a_whole_class_that_asks_at_once_gets_its_leases(here: Path) -> None:
    with RouterSite(STUDENTS) as site:
        site.wait_for_uplink()
        clients = [site.start_client(station, HTTP) for station in site.lan.stations]
        for client in clients:
            client.wait_until_connected()
        with PageService(site.lan.server, "dnsmasq", here) as server:
            asking = [
                site.parts.enter_context(PageService(station, "udhcpc", here))
                for station in site.lan.stations
            ]
            for each in asking:
                each.wait_for_log(OBTAINED, within_s=LEASES_S)
            log = server.log_text()
            given = re.findall(r"DHCPACK\(vpn0\) (10\.8\.0\.\d+) ", log)
            assert len(set(given)) == STUDENTS
            assert "no address available" not in log
            # Nobody had to ask for long: clients that give up after three requests are served too.
            for each in asking:
                assert each.log_text().count("discover") <= 3


def test_a_lease_is_renewed_and_given_up_and_the_switch_hears_it(here: Path) -> None:
    with RouterSite(1) as site:
        site.wait_for_uplink()
        site.client(site.lan.stations[0], HTTP)
        with PageService(site.lan.server, "dnsmasq", here):
            asking = site.parts.enter_context(PageService(site.lan.stations[0], "udhcpc", here))
            asking.wait_for_log(OBTAINED)
            # udhcpc renews at this signal as it does at half of the lease's time.
            asking.process.send_signal(signal.SIGUSR1)
            asking.wait_for_log(OBTAINED, 2)
            station = site.lan.stations[0]
            has_address = partial(addressed, station)
            assert has_address()
            (leased,) = re.findall(
                r"inet (10\.8\.0\.\d+)", station.ip(f"-4 address show dev {TAP}")
            )
            mac = mac_of(station, TAP)
            assert who(site)[leased][:2] == (mac, "dhcp")
            hears_arp_and_nd(site, mac, leased)
            asking.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: not has_address(), 5, "the address to be given up")
            wait_for(lambda: leased not in who(site), 5, "the switch to forget it")


def test_the_client_keeps_its_lease_and_gives_it_up_whoever_asks(here: Path) -> None:
    """With and without offload: a checksum that is left to hardware comes in both ways."""
    ways: list[list[str]] = [[], ["--no-offload", "--default-route"]]
    ways += [["--dhcp-client", name] for name in ("udhcpc", "dhclient")]
    with RouterSite(len(ways)) as site:
        site.wait_for_uplink()
        with PageService(site.lan.server, "dnsmasq", here) as server:
            stations = site.lan.stations
            before = [station.ip("route show default") for station in stations]
            resolvers = Path("/etc/resolv.conf").read_bytes()
            clients = [
                site.client(station, HTTP, "--dhcp", *options)
                for station, options in zip(stations, ways, strict=True)
            ]
            for client in clients:
                client.wait_for_log("has the address 10.8.0.", within_s=LEASES_S)
            wait_for(lambda: all(map(addressed, stations)), 5, "all addresses")
            for station in stations:
                station.run(f"ping -c 1 -W 2 {BRIDGE_ADDRESS}")
            # dnsmasq tells a router and a name server. Only who wants the router takes it.
            taken = [
                f"via {BRIDGE_ADDRESS}" in each.ip("route show 0.0.0.0/1") for each in stations
            ]
            assert taken == [False, True, False, False]
            assert [station.ip("route show default") for station in stations] == before
            assert Path("/etc/resolv.conf").read_bytes() == resolvers
            acknowledged = server.log_text().count("DHCPACK")
            site.uwsgi.process.send_signal(signal.SIGHUP)
            for client in clients:
                client.wait_until_connected(2)
            wanted = acknowledged + len(ways)
            wait_for(
                lambda: server.log_text().count("DHCPACK") >= wanted, 20, "all to ask at once again"
            )
            assert [client.log_text().count("has the address") for client in clients] == [1] * 4
            # Killed, a client leaves no DHCP client of the system behind.
            clients[-1].process.kill()
            for client in clients[:-1]:
                client.end_by(signal.SIGTERM)
            wait_for(lambda: server.log_text().count("DHCPRELEASE") >= 2, 10, "the releases")
            assert all("no longer has" not in client.log_text() for client in clients)
            for station in stations:
                wait_for(partial(is_quiet, station), 10, "nothing to be left")


def is_quiet(station: Namespace) -> bool:
    """Return whether no DHCP client runs in a namespace, and no TAP is there."""
    names = set()
    for pid in station.ip(f"netns pids {station.name}").split():
        with suppress(FileNotFoundError):
            names.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return not {"udhcpc", "busybox", "dhclient"} & names and TAP not in station.ip("-o link")


def hears_arp_and_nd(site: RouterSite, mac: str, leased: str) -> None:
    """See that the switch hears both ends of a ping, over IPv4 and over IPv6."""
    station = site.lan.stations[0]
    station.run(f"ping -c 1 -W 2 {BRIDGE_ADDRESS}")
    gateway = mac_of(site.lan.server, "vpn0")
    assert who(site)[leased][0] == mac
    assert who(site)[BRIDGE_ADDRESS][:2] == (gateway, "arp")
    local, router = (
        link_local(each, name) for each, name in ((station, TAP), (site.lan.server, "vpn0"))
    )
    station.run(f"ping -6 -c 1 -W 2 {router}%{TAP}")
    there = who(site)
    assert (there[local][:2], there[router][:2]) == ((mac, "nd"), (gateway, "nd"))
    ports = {there[address][2] for address in (local, leased)}
    assert len(ports) == 1
    assert ports != {there[router][2]}


def who(site: RouterSite) -> dict[str, tuple[str, str, str]]:
    """Return what vpnws-ctl says of who has which address: its MAC, how it was heard, its port."""
    command = [sys.executable, "-m", "vpnws.ctl", "--socket", str(site.uwsgi.socket_path)]
    done = subprocess.run([*command, "who", "--json"], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)["items"]
    return {row["ip"]: (row["mac"], row["source"], row["port"]) for row in rows}


def mac_of(namespace: Namespace, device: str) -> str:
    """Return the MAC of a device."""
    (mac,) = re.findall(r"link/ether (\S+)", namespace.ip(f"link show dev {device}"))
    return str(mac)


def link_local(namespace: Namespace, device: str) -> str:
    """Return the IPv6 address that a device has made itself."""
    shown = namespace.ip(f"-6 address show dev {device} scope link")
    return str(re.findall(r"inet6 (fe80\S+)/", shown)[0])


def addressed(station: Namespace) -> bool:
    """Return whether the TAP has an IPv4 address."""
    return "inet 10.8.0." in station.ip(f"-4 address show dev {TAP}")
