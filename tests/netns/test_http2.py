"""nginx with http2 on: a browser of today gets the switch's own page, and a station still joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.nginx import DEPLOY_CONF, Nginx
from tests.support.prerequisites import require, require_tap
from tests.support.uwsgi import Uwsgi
from tests.support.vpn import LOGIN, TAP, Client
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lan, Nginx]]:
    require_tap()
    require("nginx", "openssl", "ip", "unshare", "curl")
    config = tmp_path_factory.mktemp("http2") / "nginx.conf"
    shipped = DEPLOY_CONF.read_text()
    config.write_text(shipped.replace("listen 443 ssl;", "listen 443 ssl http2;"))
    assert config.read_text() != shipped
    with (
        Lan(1) as lan,
        Nginx(lan.server, config=config) as nginx,
        Uwsgi(namespace=lan.server, socket_path=nginx.socket_path),
    ):
        yield lan, nginx


@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_the_page_comes_whole_by_each_version(
    places: tuple[Lan, Nginx], option: str, version: str
) -> None:
    lan, nginx = places
    asked = f"--silent --show-error --include --user alice:wonderland {option}"
    trust = f"--cacert {nginx.ca.crt}"
    answer = lan.stations[0].run(f"curl {asked} {trust} https://{SERVER_ADDRESS}/vpn")
    head, _, body = answer.stdout.partition("\n\n")
    assert head.startswith(f"HTTP/{version} 426")
    assert ("upgrade: websocket" in head.lower()) == (version == "1.1")
    assert "vpnws-client tap0 wss://" in body


def test_a_station_joins_because_it_asks_for_version_1_1(places: tuple[Lan, Nginx]) -> None:
    """It does so by ALPN: HTTP/2 has no upgrade (RFC 9113 8.6)."""
    lan, nginx = places
    url = f"wss://{LOGIN}{SERVER_ADDRESS}/vpn"
    with Client(lan.stations[0], "--ca", str(nginx.ca.crt), TAP, url) as client:
        client.wait_until_connected()
        assert client.stop() == Exit.STOPPED
