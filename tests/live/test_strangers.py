"""What the client says when nginx does what others on the way do: removes a header, sends pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.dialing import connected, failure, settings_for
from tests.support.plain_nginx import PlainNginx
from tests.support.prerequisites import require
from tests.support.real_waiter import real_waiter
from vpnws.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import TwoWorkers
    from vpnws.client.waiting import Waiter

pytestmark = pytest.mark.live

# proxy_pass removes Upgrade unless it is told to pass it on.
LOCATIONS = """
location = /removed { proxy_pass http://127.0.0.1:$server_port/vpn; }
location = /login   { return 302 http://login.hotel.example/start?station=1; }
location = /page    { default_type text/html; return 200 "<!doctype html><title>Hotel</title>"; }
location = /wants   { return 511; }
location = /away    { proxy_pass http://127.0.0.1:9/; }
"""


@pytest.fixture(scope="module")
def nginx(stream: TwoWorkers) -> Iterator[PlainNginx]:
    require("nginx")
    with PlainNginx(stream.socket_path, LOCATIONS) as made:
        yield made


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with real_waiter() as made:
        yield made


def test_the_way_itself_is_open(nginx: PlainNginx, waiter: Waiter) -> None:
    with connected(settings_for(f"ws://127.0.0.1:{nginx.port}/vpn"), waiter) as connection:
        assert connection.has_offload


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        (
            "/removed",
            400,
            "the server says: The request has no 'Upgrade: websocket' header; Connection,"
            " Sec-WebSocket-Key, Sec-WebSocket-Version, Sec-WebSocket-Protocol, X-vpn-ws-MAC did"
            " arrive. If the client sent one, a proxy on the way removed it: configure that proxy"
            " to pass WebSocket upgrades (HTTP 400)",
        ),
        ("/login", 302, "or this network wants a login first: open http://login.hotel.example/st"),
        ("/page", 200, 'a web page ("Hotel") came in place of the switch\'s answer'),
        ("/wants", 511, "this network wants a login first: open http://127.0.0.1/ in a browser"),
        ("/away", 502, "the web server cannot reach the switch behind it"),
        ("/nothing", 404, "nothing is there: check the URL's path"),
    ],
)
def test_each_stranger_is_named(
    nginx: PlainNginx, waiter: Waiter, path: str, status: int, sentence: str
) -> None:
    error = failure(settings_for(f"ws://127.0.0.1:{nginx.port}{path}"), waiter)
    assert isinstance(error, RefusedError)
    assert error.status == status
    assert sentence in str(error)
