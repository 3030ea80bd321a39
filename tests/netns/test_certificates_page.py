"""docs/certificates.md makes certificates that nginx and stations accept."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.markdown import blocks, commands
from tests.support.netns import Namespace
from tests.support.nginx import DEPLOY_CONF, Nginx
from tests.support.prerequisites import require, require_root
from tests.support.raw_client import RawClient, basic
from tests.support.uwsgi import REPOSITORY, Uwsgi

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns

PAGE = blocks((REPOSITORY / "docs" / "certificates.md").read_text())
PROXIES = blocks((REPOSITORY / "docs" / "proxies.md").read_text())
NAME = "vpn.example.org"
ALICE = basic("alice", "wonderland")
SITE = """
{upstream}
server {{
    listen 443 ssl;
    server_name {name};
    ssl_certificate     vpnws/server.crt;
    ssl_certificate_key vpnws/server.key;
    location / {{ return 200 "the site that was there"; }}
{location}
}}
"""


class OwnNginx(Nginx):
    """nginx with the files that the page's commands have made in a directory."""

    def __init__(self, namespace: Namespace, made: Path, config: Path = DEPLOY_CONF) -> None:
        super().__init__(namespace, config=config)
        self._made = made

    def lay_out(self) -> None:
        """Install the page's certificates as docs/proxies.md says."""
        super().lay_out()
        for there, here in (
            ("fullchain.pem", "server.crt"),
            ("privkey.pem", "server.key"),
            ("clients-ca.pem", "clients-ca.crt"),
        ):
            (self.directory / "vpnws" / here).write_bytes((self._made / there).read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which the commands for an own authority and for stations were run."""
    require_root()
    require("nginx", "openssl", "ip", "unshare")
    directory = tmp_path_factory.mktemp("own")
    for block in PAGE:
        if block.tags in (["own"], ["stations"]):
            for command in commands(block):
                processes.run(["sh", "-ec", command.text], cwd=directory)
    return directory


def join(server: Namespace, context: ssl.SSLContext, path: str, *headers: tuple[str, str]) -> int:
    """Ask to join at the page's name and return the status."""
    with RawClient("127.0.0.1", 443, namespace=server, tls=context, server_hostname=NAME) as client:
        return client.upgrade(path, headers).status


def test_the_own_authority_is_enough_for_passwords_and_certificates(made: Path) -> None:
    with (
        Namespace("server") as server,
        OwnNginx(server, made) as nginx,
        Uwsgi(namespace=server, socket_path=nginx.socket_path) as uwsgi,
    ):
        trusting = ssl.create_default_context(cafile=made / "ca.pem")
        assert join(server, trusting, "/vpn", ALICE) == 101
        assert join(server, trusting, "/cert") == 403
        certified = ssl.create_default_context(cafile=made / "ca.pem")
        certified.load_cert_chain(made / "laptop.pem", made / "laptop.key")
        assert join(server, certified, "/cert") == 101
        uwsgi.wait_for_log("dn=CN=laptop,O=example ")
        with pytest.raises(ssl.SSLCertVerificationError):
            join(server, ssl.create_default_context(), "/vpn", ALICE)


def test_the_location_works_in_a_server_block_that_exists(made: Path, tmp_path: Path) -> None:
    upstream, location = (block.text for block in PROXIES if block.tags == ["existing"])
    config = tmp_path / "site.conf"
    config.write_text(SITE.format(name=NAME, upstream=upstream, location=location))
    with (
        Namespace("server") as server,
        OwnNginx(server, made, config) as nginx,
        Uwsgi(namespace=server, socket_path=nginx.socket_path),
    ):
        assert "test is successful" in nginx.check()
        trusting = ssl.create_default_context(cafile=made / "ca.pem")
        assert join(server, trusting, "/vpn", ALICE) == 101
        assert join(server, trusting, "/vpn") == 401
        assert join(server, trusting, "/") == 200
