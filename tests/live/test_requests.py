"""Requests that become ports, and requests that are politely refused."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.live.server import TwoWorkers
from tests.support.ca import CertificateAuthority
from tests.support.raw_client import KEY, accept_value
from tests.support.service import ServiceError
from tests.support.uwsgi import free_port
from tests.support.uwsgi_client import UwsgiClient

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live


def test_a_plain_get_gets_a_page_that_says_what_this_is(either: TwoWorkers) -> None:
    with either.connect() as client:
        answer = client.request("/any/path")
    assert answer.status == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert b"vpnws-client" in answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", [("Upgrade", "websocket"), ("Connection", "Upgrade")]),
        ("GET", [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "not base64!")]),
        ("GET", [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "A" * 200)]),
        ("GET", [("Sec-WebSocket-Key", KEY)]),
        ("POST", [("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY)]),
        ("POST", []),
        ("GET", [("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY), ("X-vpn-ws-MAC", "cafe")]),
        (
            "GET",
            [
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Key", KEY),
                ("Sec-WebSocket-Protocol", "\x01"),
            ],
        ),
    ],
)
def test_what_is_not_a_valid_upgrade_gets_400(
    either: TwoWorkers, method: str, headers: list[tuple[str, str]]
) -> None:
    with either.connect() as client:
        answer = client.request("/", headers, method=method)
    assert answer.status == 400
    assert answer.body.strip()


@pytest.mark.parametrize("path", ["/", "/vpn", "/a/b?token=x"])
def test_an_upgrade_on_any_path_becomes_a_port(either: TwoWorkers, path: str) -> None:
    with either.connect() as client:
        answer = client.upgrade(path)
    assert answer.status == 101
    assert answer.headers["Sec-WebSocket-Accept"] == accept_value(KEY)
    assert answer.headers["Sec-WebSocket-Protocol"] is None


def test_the_c_clients_handshake_is_taken(either: TwoWorkers) -> None:
    """Its key is 10 bytes long, and it names no version."""
    key = base64.b64encode(bytes(range(10))).decode()
    with either.connect() as client:
        answer = client.upgrade(key=key, version=None)
    assert answer.status == 101
    assert answer.headers["Sec-WebSocket-Accept"] == accept_value(key)


def test_of_an_offer_of_subprotocols_one_is_chosen(either: TwoWorkers) -> None:
    with either.connect() as client:
        answer = client.upgrade(subprotocols="binary, other")
    assert answer.headers["Sec-WebSocket-Protocol"] == "binary"


def test_a_network_that_cannot_be_named_is_the_web_servers_mistake(either: TwoWorkers) -> None:
    with UwsgiClient(either.socket_path) as client:
        answer = client.ask({"VPNWS_NETWORK": "no/name"})
    assert answer.status == 500
    assert b"VPNWS_NETWORK" in answer.body
    either.wait_for_log("a request was refused with 500 (user=- dn=- addr=-): The web server")


def test_a_misspelt_right_lets_nobody_in(either: TwoWorkers) -> None:
    with UwsgiClient(either.socket_path) as client:
        answer = client.ask({"VPNWS_NETWROK": "blue"})
    assert answer.status == 500
    assert b"VPNWS_NETWROK is not known; perhaps VPNWS_NETWORK is meant" in answer.body


def test_past_the_bound_of_ports_there_is_503_until_one_goes() -> None:
    with TwoWorkers({"vpnws-max-ports": "3"}) as server:
        stations = [server.station(worker) for worker in (1, 2, 2)]
        for worker in (1, 2):
            with server.connect(worker) as client:
                answer = client.upgrade()
            assert answer.status == 503
            assert answer.headers["Retry-After"]
        stations[0].client.close()
        server.wait_for_log("closed without")
        with server.station(2):
            pass


def test_past_the_bound_of_networks_there_is_503() -> None:
    with TwoWorkers({"vpnws-max-networks": "1"}) as server:
        held = [server.named_station({"VPNWS_NETWORK": "blue"}) for _ in range(8)]
        statuses = set()
        for _ in range(8):
            with UwsgiClient(server.socket_path) as client:
                statuses.add(client.ask({"VPNWS_NETWORK": "red"}).status)
        assert 503 in statuses
        for station in held:
            station.client.close()


@pytest.mark.parametrize("placeholder", ["vpnws-dead-after=soon", "vpnws-recevier=stream"])
def test_a_bad_setting_stops_the_start_with_a_sentence(placeholder: str) -> None:
    name, value = placeholder.split("=")
    with (
        pytest.raises(Exception, match=f"cannot start: {name}") as caught,
        TwoWorkers({name: value}),
    ):
        pass
    assert "Traceback" not in str(caught.value)


def test_a_setting_that_comes_too_late_stops_the_start() -> None:
    late = "--set-placeholder=vpnws-http=127.0.0.1:9"
    with pytest.raises(ServiceError, match=r"cannot start: vpnws-http = .* came after"):
        with TwoWorkers({}, late):
            pass


def test_tls_inside_the_worker_stops_the_start(tmp_path: Path) -> None:
    server = CertificateAuthority(tmp_path).server("localhost")
    option = f"--https-socket=127.0.0.1:{free_port()},{server.crt},{server.key}"
    with pytest.raises(ServiceError, match="cannot start: https-socket puts TLS inside the worker"):
        with TwoWorkers({}, option):
            pass


def test_lazy_apps_stops_everything_and_is_not_tried_for_ever() -> None:
    server = TwoWorkers({}, "--lazy-apps")
    server.may_end = True
    with server:
        server.wait_for_log("cannot start: lazy-apps is set")
        server.process.wait(15)
