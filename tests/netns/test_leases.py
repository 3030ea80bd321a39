"""Addresses from the server with real clients: pools, routes, a reload, and who has none."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.prerequisites import require, require_tap
from tests.support.routing import masquerade
from tests.support.site import (
    BRIDGE_ADDRESS,
    BRIDGE_ADDRESS_6,
    HTTP,
    INTERNET_ADDRESS,
    SECOND_HTTP,
    TWO_WORKERS,
    RouterSite,
    location,
    url_of,
)
from tests.support.traffic import ping
from tests.support.vpn import TAP
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

POOLS = "10.8.0.0/24 fd08::/64"
ROUTE = "198.51.100.0/24"
VARIABLES = {
    "VPNWS_CLIENT_ROUTES": f'"{ROUTE} via {BRIDGE_ADDRESS}"',
    "VPNWS_CLIENT_MTU": "1400",
    "VPNWS_CLIENT_NOTICE": '"Maintenance tonight"',
}
WAIT_S = 10.0
SILENCE = "connected, but without an address after 10 s"


def addresses(station: Namespace) -> dict[str, str]:
    """Return the addresses of a station's TAP that are not link-local, by version of IP."""
    (shown,) = json.loads(station.ip(f"-j address show dev {TAP}"))
    return {
        one["family"]: f"{one['local']}/{one['prefixlen']}"
        for one in shown["addr_info"]
        if one["scope"] == "global"
    }


def mtu(station: Namespace) -> int:
    (shown,) = json.loads(station.ip(f"-j link show dev {TAP}"))
    found: int = shown["mtu"]
    return found


def wait_for_addresses(station: Namespace) -> dict[str, str]:
    wait_for(lambda: len(addresses(station)) == 2, WAIT_S, "both addresses")
    return addresses(station)


def test_clients_get_addresses_and_what_they_accept_and_keep_it_over_a_reload() -> None:
    require_tap()
    require("nginx", "ping", "nft")
    with RouterSite(
        3, *TWO_WORKERS, locations=location("routed", **VARIABLES), vpnws_pool=POOLS
    ) as site:
        masquerade(site.lan.server)
        site.wait_for_uplink()
        plain, routed, silent = site.lan.stations
        before = routed.ip("route show")
        # The first asks at one worker, the last at the other; the pool is one.
        clients = [
            site.client(plain, HTTP),
            site.client(routed, url_of("routed"), "--accept", "address,routes,mtu"),
            site.client(silent, SECOND_HTTP, "--accept", "none"),
        ]
        had = [wait_for_addresses(station) for station in (plain, routed)]
        assert all(one["inet"].startswith("10.8.0.") for one in had)
        assert all(one["inet"].endswith("/24") for one in had)
        assert all(one["inet6"].startswith("fd08::") for one in had)
        assert len({address for one in had for address in one.values()}) == 4
        assert BRIDGE_ADDRESS not in {one["inet"].partition("/")[0] for one in had}
        for station in (plain, routed):
            for target in (BRIDGE_ADDRESS, BRIDGE_ADDRESS_6):
                assert ping(station, target, count=2).received
        assert (mtu(plain), mtu(routed)) == (1500, 1400)
        assert ping(routed, INTERNET_ADDRESS, count=2).received
        assert "the server says: Maintenance tonight" in clients[1].log_text()
        assert (
            f"the server gives this station {', '.join(had[0].values())}" in clients[0].log_text()
        )

        site.uwsgi.process.send_signal(signal.SIGHUP)
        for client in clients:
            client.wait_until_connected(2)
        assert [addresses(station) for station in (plain, routed)] == had
        assert ping(routed, INTERNET_ADDRESS, count=2).received

        clients[2].wait_for_log(SILENCE, within_s=20.0)
        assert "the server offers address 10.8.0." in clients[2].log_text()
        assert addresses(silent) == {}
        for client in clients:
            client.stop()
            assert "Traceback" not in client.log_text()
        assert routed.ip("route show") == before
        for client in clients[:2]:
            assert SILENCE not in client.log_text()
