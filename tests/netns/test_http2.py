"""A browser of today asks by HTTP/2: nginx with http2 on, curl, and the switch's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.nginx import DEPLOY_CONF, Nginx
from tests.support.prerequisites import require, require_root
from tests.support.uwsgi import Uwsgi

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns


@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_the_page_comes_whole_by_each_version(tmp_path: Path, option: str, version: str) -> None:
    require_root()
    require("nginx", "openssl", "ip", "unshare", "curl")
    config = tmp_path / "nginx.conf"
    shipped = DEPLOY_CONF.read_text()
    config.write_text(shipped.replace("listen 443 ssl;", "listen 443 ssl http2;"))
    assert config.read_text() != shipped
    with (
        Lan(1) as lan,
        Nginx(lan.server, config=config) as nginx,
        Uwsgi(namespace=lan.server, socket_path=nginx.socket_path),
    ):
        curl = [
            "curl",
            "--silent",
            "--show-error",
            option,
            "--include",
            "--user",
            "alice:wonderland",
        ]
        answer = lan.stations[0].run(
            [*curl, "--cacert", str(nginx.ca.crt), f"https://{SERVER_ADDRESS}/vpn"]
        )
    head, _, body = answer.stdout.partition("\n\n")
    assert head.startswith(f"HTTP/{version} 426")
    assert ("upgrade: websocket" in head.lower()) == (version == "1.1")
    assert "vpnws-client tap0 wss://" in body
