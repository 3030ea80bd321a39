"""Each proxy's file in deploy/ as it is: real stations reach each other, strangers do not."""

from __future__ import annotations

import ssl
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import Lan
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.proxied import LOGIN, Proxied
from tests.support.proxies import KINDS, ROUTER, Kind
from tests.support.raw_client import basic
from tests.support.raw_frames import PING, PONG
from tests.support.traffic import iperf3, ping
from tests.support.waiting import wait_for
from vpnws.client.program.exits import Exit
from vpnws.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

WITH_PASSWORDS = [kind for kind in KINDS if kind.knows_passwords]
SLACK_S = 10.0
SHORT_KEY = b64encode(b"0123456789").decode()


def need(kind: Kind) -> None:
    """Require what a test of this proxy needs."""
    require_root()
    require_tap()
    require("ip", "unshare", "openssl", "ping", "iperf3", *kind.tools)


def name_of(kind: Kind) -> str:
    return kind.name


@pytest.fixture(scope="module", params=KINDS, ids=name_of)
def vpn(request: pytest.FixtureRequest) -> Iterator[Proxied]:
    """Yield a server behind each proxy in turn."""
    need(request.param)
    with Proxied(request.param, 2) as proxied:
        yield proxied


def up_lines(vpn: Proxied) -> list[str]:
    return [line for line in vpn.uwsgi.log_text().splitlines() if " up network=" in line]


class TestStations:
    def test_they_reach_each_other_and_the_server_knows_who_they_are(self, vpn: Proxied) -> None:
        before = len(up_lines(vpn))
        lie = ("--header", "X-Forwarded-User: mallory", "--header", "X_Forwarded_For: 192.0.2.6")
        clients = [
            vpn.join(0, *lie, certified=not vpn.kind.knows_passwords),
            vpn.join(1, *lie, certified=True),
        ]
        wait_for(lambda: len(up_lines(vpn)) == before + 2, 5, "both stations in the log")
        first, second = up_lines(vpn)[before:]
        dn = vpn.dn.replace(" ", "?")
        named = f"user=- dn={dn}" if not vpn.kind.knows_passwords else "user=alice dn=-"
        assert f"network=default {named} addr={Lan.address(0)} " in first
        assert f"network=default user=- dn={dn} addr={Lan.address(1)} " in second

        one, other = vpn.lan.stations
        wait_for(lambda: ping(one, "10.8.0.2", count=1).received == 1, 10, "a first ping")
        full = ping(one, "10.8.0.2", count=50, interval_s=0.02, size_bytes=1472)
        assert (full.sent, full.received, full.duplicates) == (50, 50, 0)
        bulk = iperf3(one, other, "10.8.0.2", seconds=1)
        assert bulk["end"]["sum_received"]["bytes"] > 1_000_000
        assert [client.stop() for client in clients] == [0, 0]

    @pytest.mark.parametrize("size", [1, 1514, 65_535])
    def test_a_message_passes_whole(self, vpn: Proxied, size: int) -> None:
        with vpn.enter(certified=True) as client:
            client.send_frame(bytes(min(size, 125)), PING)
            assert client.read_frame().payload == bytes(min(size, 125))
            client.send_frame(bytes(size))
            client.send_frame(b"after", PING)
            assert client.read_frame().payload == b"after"


def test_the_short_key_of_the_c_client_passes_all_proxies_but_haproxy(vpn: Proxied) -> None:
    """Its 10 bytes are not the 16 of RFC 6455 4.1; docs/proxies.md says who minds."""
    with vpn.dial(vpn.certificate) as client:
        status = client.upgrade("/cert", key=SHORT_KEY).status
    assert status == (400 if vpn.kind.name == "haproxy" else 101)


class TestStrangers:
    @pytest.mark.parametrize("vpn", WITH_PASSWORDS, ids=name_of, indirect=True)
    def test_a_wrong_password_ends_the_client_with_6(self, vpn: Proxied) -> None:
        client = vpn.set_out(0, "/vpn", login="alice:guess@")
        assert client.process.wait(15) == Exit.REFUSED
        assert "401" in client.log_text()

    def test_no_certificate_ends_the_client(self, vpn: Proxied) -> None:
        # The router refuses in TLS; that it is refused may be seen only when something is read.
        allowed = (Exit.TLS, Exit.CONNECT) if not vpn.kind.knows_passwords else (Exit.REFUSED,)
        client = vpn.set_out(0, "/cert", "--once")
        assert client.process.wait(15) in allowed

    def test_the_wrong_way_in_is_no_way_in(self, vpn: Proxied) -> None:
        before = len(up_lines(vpn))
        if not vpn.kind.knows_passwords:
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                vpn.ask("/vpn", LOGIN)
        else:
            assert vpn.ask("/vpn").status == 401
            assert vpn.ask("/vpn", certificate=vpn.certificate).status == 401
            assert vpn.ask("/vpn", basic("eve", "wonderland")).status == 401
            assert vpn.ask("/cert").status == 403
            assert vpn.ask("/cert", LOGIN).status == 403
            assert vpn.ask("/").status == 200
        assert len(up_lines(vpn)) == before

    def test_a_certificate_of_another_authority_is_refused(self, vpn: Proxied) -> None:
        wrong = vpn.proxy.ca.client("laptop")
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            vpn.ask("/cert", LOGIN, certificate=wrong)

    @pytest.mark.parametrize(
        "name", ["X-Forwarded-Proto", "X_Forwarded_Proto", "x-forwarded_proto"]
    )
    def test_no_header_of_theirs_crashes_a_worker(self, vpn: Proxied, name: str) -> None:
        workers = vpn.uwsgi.worker_pids()
        scheme = (name, "\xff")
        for certified in {not vpn.kind.knows_passwords, True}:
            for _ in workers * 2:
                with vpn.enter(scheme, certified=certified) as client:
                    client.send_frame(b"", PING)
                    assert client.read_frame().opcode == PONG
        if vpn.kind.knows_passwords:
            assert vpn.ask("/vpn", scheme).status == 401
            assert vpn.ask("/", scheme).status == 200
        assert vpn.uwsgi.worker_pids() == workers
        assert "DAMN" not in vpn.uwsgi.log_text()


def test_a_quiet_station_stays_until_the_server_pings_it() -> None:
    for kind in KINDS:
        need(kind)
    with ExitStack() as stack:
        beds = [stack.enter_context(Proxied(kind, 1)) for kind in KINDS]
        clients = [stack.enter_context(bed.enter(certified=True)) for bed in beds]
        for bed, client in zip(beds, clients, strict=True):
            frame = client.read_frame(Settings().ping_every_s + SLACK_S)
            assert frame.opcode == PING, bed.kind.name
            client.send_frame(frame.payload, PONG)
            client.send_frame(b"still here", PING)
            assert client.read_frame().payload == b"still here", bed.kind.name


@pytest.mark.parametrize("kind", WITH_PASSWORDS, ids=name_of)
def test_without_trusted_proxies_a_station_has_no_name(kind: Kind) -> None:
    need(kind)
    with Proxied(kind, 1, trusted="") as vpn:
        with vpn.enter(certified=False) as client:
            client.send_frame(b"", PING)
            client.read_frame()
        wait_for(lambda: up_lines(vpn), 5, "the station in the log")
        assert "user=- dn=- addr=127.0.0.1 " in up_lines(vpn)[0]


def test_the_router_can_give_all_of_its_stations_a_network() -> None:
    need(ROUTER)
    with_network = replace(ROUTER, run=f"{ROUTER.run} --http-var VPNWS_NETWORK=blue")
    with Proxied(with_network, 1) as vpn:
        with vpn.enter(("VPNWS-NETWORK", "red"), certified=True):
            wait_for(lambda: up_lines(vpn), 5, "the station in the log")
        assert "network=blue " in up_lines(vpn)[0]
