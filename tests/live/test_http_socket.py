"""http-socket without a proxy: no rights, no names, and what docs/proxies.md warns of."""

from __future__ import annotations

import pytest

from tests.live.server import TwoWorkers
from tests.support.raw_frames import PING
from tests.support.waiting import wait_for

pytestmark = pytest.mark.live

CLAIMS = [
    ("X-Forwarded-User", "mallory"),
    ("X-Forwarded-DN", "CN=mallory"),
    ("X-Forwarded-For", "192.0.2.66"),
    ("REMOTE_USER", "mallory"),
    ("VPNWS_NETWORK", "blue"),
    ("VPNWS-ROLE", "promiscuous"),
    ("VPNWS_BRIDGE", "on"),
    ("X-vpn-ws-bridge", "on"),
]


def line_of_a_liar(server: TwoWorkers) -> str:
    """Join with every claim and return what the log says of the port."""
    with server.connect() as client:
        assert client.upgrade(headers=CLAIMS).status == 101
        client.send_frame(b"", PING)
        client.read_frame()
    lines = [line for line in server.log_text().splitlines() if " up network=" in line]
    return lines[-1]


def test_from_strangers_nothing_is_believed() -> None:
    with TwoWorkers({}) as server:
        line = line_of_a_liar(server)
    assert "network=default user=- dn=- addr=127.0.0.1 mac=- rights=community,bridge-ref" in line


def test_from_a_trusted_proxy_names_are_and_rights_are_not() -> None:
    with TwoWorkers({"vpnws-trusted-proxies": "127.0.0.1"}) as server:
        line = line_of_a_liar(server)
    assert "network=default user=mallory dn=CN=mallory addr=192.0.2.66 mac=- rights=comm" in line
    assert "bridge-refused" in line


def test_a_stranger_can_crash_a_worker_of_uwsgi_so_the_page_must_warn() -> None:
    """When a new uWSGI lets this fail, take the warnings out of docs/proxies.md and deploy/."""
    with TwoWorkers({}) as server:
        first = server.worker_pids()[0]
        with server.connect() as client, pytest.raises((EOFError, ConnectionError)):
            client.request("/", [("X-Forwarded-Proto", "\xff")])
        wait_for(lambda: server.worker_pids()[0] != first, 5, "a new worker")
        # A worker that is told to stop while it starts does not hear it.
        with server.connect() as client:
            assert client.request().status == 426
