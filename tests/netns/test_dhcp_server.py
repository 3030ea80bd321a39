"""vpnws-dhcp with real DHCP clients, over offload and plain TAPs, in modes switch and bridge."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support.dhcp_clients import Dhclient, Udhcpc
from tests.support.netns import SERVER_ADDRESS
from tests.support.prerequisites import require, require_tap
from tests.support.site import HTTP, BridgeSite, Dnsmasq
from tests.support.traffic import ping
from tests.support.vpn import LOGIN, TAP, Vpn
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

URL = f"wss://{LOGIN}{SERVER_ADDRESS}/vpn"
LEASE_S = 600
WAIT_S = 20.0


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require_tap()
    require("dnsmasq", "busybox", "dhclient")


def address_of(namespace: Namespace, device: str = TAP) -> str:
    """Return the IPv4 address that a device has, empty for none."""
    found = re.findall(r"inet (10\.8\.0\.\d+)/24", namespace.ip(f"-4 address show dev {device}"))
    return found[0] if found else ""


def settings(tmp_path: Path, pool: str) -> dict[str, str]:
    """Return the settings for a server that gives addresses by DHCP."""
    return {
        "vpnws-pool": pool,
        "vpnws-dhcp": "on",
        "vpnws-leases": str(tmp_path / "leases.db"),
        "vpnws-lease-time": str(LEASE_S),
    }


def test_a_switch_gives_addresses_to_every_kind_of_client(tmp_path: Path) -> None:
    """Over offload and plain TAPs; by other clients, and by our own."""
    with Vpn(4, placeholders=settings(tmp_path, "10.8.0.0/24")) as vpn, ExitStack() as stack:
        stations = vpn.lan.stations
        trust = vpn.trust(URL)
        options = (("--no-offload",), (), ("--dhcp",), ("--dhcp", "--no-offload"))
        clients = [
            vpn.connect(station, URL, *trust, *given)
            for station, given in zip(stations, options, strict=True)
        ]
        udhcpc = stack.enter_context(Udhcpc(stations[0], TAP))
        dhclient = stack.enter_context(Dhclient(stations[1], TAP))
        for client in clients[2:]:
            client.wait_for_log("has the address 10.8.0.", within_s=WAIT_S)
        udhcpc.wait_for_lease()
        dhclient.wait_for_lease()
        wait_for(lambda: all(map(address_of, stations)), WAIT_S, "all addresses")
        addresses = [address_of(station) for station in stations]
        assert len(set(addresses)) == 4
        # The first of the pool is the server's.
        assert "10.8.0.1" not in addresses
        for station, target in pairwise((*stations, stations[0])):
            assert ping(station, address_of(target), count=1).received == 1
        # It asks the server alone, whose address it has to find by ARP.
        udhcpc.process.send_signal(signal.SIGUSR1)
        udhcpc.wait_for_lease(2)
        assert "sending renew to server 10.8.0.1" in udhcpc.log_text()
        assert "broadcasting renew" not in udhcpc.log_text()
        # Given up, the address is free at once; asked for again, it is the same.
        udhcpc.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: not address_of(stations[0]), WAIT_S, "the address to be given up")
        udhcpc.process.send_signal(signal.SIGUSR1)
        udhcpc.wait_for_lease(3)
        wait_for(lambda: address_of(stations[0]) == addresses[0], WAIT_S, "the address from before")
        # A reload keeps all of them.
        vpn.uwsgi.process.send_signal(signal.SIGHUP)
        for client in clients:
            client.wait_until_connected(2)
        assert [address_of(station) for station in stations] == addresses
        assert ping(stations[2], addresses[3], count=3).received >= 1


def test_beside_a_lan_with_a_dhcp_server_each_serves_its_own(tmp_path: Path) -> None:
    wanted = settings(tmp_path, "10.8.0.50-10.8.0.59/24")
    given = {name.replace("-", "_"): value for name, value in wanted.items()}
    with BridgeSite(2, **given) as site, ExitStack() as stack:
        site.wait_for_uplink()
        dnsmasq = stack.enter_context(Dnsmasq(site.behind, "eth0"))
        plain, own = site.lan.stations
        site.client(plain, HTTP, "--no-offload")
        client = site.client(own, HTTP, "--dhcp")
        asking = stack.enter_context(Udhcpc(plain, TAP))
        asking.wait_for_lease()
        client.wait_for_log("has the address 10.8.0.5", within_s=WAIT_S)
        assert address_of(plain).startswith("10.8.0.5")
        assert "DHCPDISCOVER" not in dnsmasq.log_text()
        # A host of the LAN asks on the same wire, and dnsmasq alone answers it.
        host = stack.enter_context(Udhcpc(site.lan.server, "br0"))
        host.wait_for_lease()
        assert re.search(r"lease of 10\.8\.0\.2\d\d obtained", host.log_text())
        assert ping(plain, "10.8.0.100", count=1).received == 1
