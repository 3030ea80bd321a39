"""Stations behind Squid and Dante, with names that lead to several addresses: real parts only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.forward_proxies import PASSWORD, Dante, Squid, own_hosts
from tests.support.markdown import blocks, commands
from tests.support.netns import SERVER_ADDRESS, SERVER_ADDRESS_6, Lan
from tests.support.prerequisites import require, require_tap
from tests.support.shell import Shell
from tests.support.traffic import ping
from tests.support.uwsgi import REPOSITORY
from tests.support.vpn import TAP, Client, Vpn
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

PAGE = blocks((REPOSITORY / "docs" / "client" / "connecting.md").read_text())
NAME, OTHER = "vpn.example.org", "both.example.org"
PROXY = "proxy.example.org"
URL = f"wss://{NAME}/vpn"
OFFICE, MEMBER, GATEWAY = range(3)
# The office's machine reaches the proxy alone; nobody reaches the server by IPv6.
_FIREWALL = f"""
table inet office {{
    chain input {{
        type filter hook input priority 0; policy accept;
        ip saddr {Lan.address(OFFICE)} tcp dport 443 drop
        ip6 saddr {Lan.address_6(OFFICE)} tcp dport 443 drop
        ip6 daddr {SERVER_ADDRESS_6} tcp dport 443 drop
    }}
}}
"""


class Office(Vpn):
    """A machine behind two proxies, a member of the VPN elsewhere, and the machine of the proxies.

    Only the proxies' machine knows the server's name; the member knows it by another one.
    """

    def __init__(self) -> None:
        super().__init__(3)

    def build(self) -> None:
        """Start the server, the proxies, and the member's client."""
        super().build()
        self.lan.server.run("nft -f -", input_text=_FIREWALL)
        gateway = self.lan.stations[GATEWAY]
        hosts = {OFFICE: {PROXY: [Lan.address(GATEWAY)]}}
        hosts[MEMBER] = {OTHER: [SERVER_ADDRESS_6, SERVER_ADDRESS]}
        for index, names in hosts.items():
            self.parts.enter_context(own_hosts(self.lan.stations[index], names))
        self.parts.enter_context(Squid(gateway, {NAME: SERVER_ADDRESS}))
        self.parts.enter_context(Dante(gateway, {NAME: SERVER_ADDRESS}))
        place = Path(self.parts.enter_context(tempfile.TemporaryDirectory()))
        self.secrets = {"proxy.pw": PASSWORD, "vpn.pw": "wonderland", "wrong.pw": "guess"}
        for name, secret in self.secrets.items():
            (place / name).write_text(f"{secret}\n", encoding="utf-8")
        self.home = place
        self.member = self.start(
            MEMBER,
            *("--address", f"{self.address(1)}/24", "--sni", NAME, *self.login, TAP),
            # Nobody listens at the first one. The second is reached by its second address.
            *(f"wss://{SERVER_ADDRESS}:444/vpn", f"wss://{OTHER}/vpn"),
        )
        self.member.wait_until_connected()

    @property
    def login(self) -> tuple[str, ...]:
        """The options of the VPN's own user, and of whom to trust."""
        file = str(self.home / "vpn.pw")
        return "--user", "alice", "--password-file", file, "--ca", str(self.nginx.ca.crt)

    def start(self, index: int, *arguments: str) -> Client:
        """Start a client with these arguments; it ends with the bed."""
        return self.parts.enter_context(Client(self.lan.stations[index], *arguments))

    def behind(self, tap: str, proxy: str, password: str, url: str = URL) -> Client:
        """Start a client at the office, through a proxy with the password in a file."""
        options = ("--proxy", proxy, "--proxy-password-file", str(self.home / password))
        return self.start(OFFICE, *options, *self.login, "--once", tap, url)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    require_tap()
    require("ip", "nginx", "openssl", "squid", "danted", "nft", "bash", "ping")
    with Office() as made:
        yield made


def test_a_member_with_two_servers_and_a_dead_address_joins(office: Office) -> None:
    said = office.member.log_text()
    assert f"wss://{SERVER_ADDRESS}:444/vpn: cannot connect to {SERVER_ADDRESS}:444: Conn" in said
    assert f"connected to wss://{OTHER}/vpn as {TAP} " in said


def test_what_the_page_types_behind_squid_shows_what_it_says(office: Office) -> None:
    typed = [each for block in PAGE if "behind-squid" in block.tags for each in commands(block)]
    assert len(typed) >= 6
    with Shell(office.lan.stations[OFFICE].name) as shell:
        shell.type(f"export HOME={office.home} SSL_CERT_FILE={office.nginx.ca.crt}", [])
        for command in typed:
            shell.type(command.text, command.output)


def test_dante_carries_frames_and_looks_up_the_name(office: Office) -> None:
    proxy = f"socks5h://alice@{PROXY}"
    client = office.start(
        OFFICE,
        *("--proxy", proxy, "--proxy-password-file", str(office.home / "proxy.pw")),
        *("--address", f"{office.address(0)}/24", *office.login, TAP, URL),
    )
    client.wait_until_connected()
    assert client.log_text().endswith(f", through the proxy socks5h://{PROXY}:1080\n")
    assert ping(office.lan.stations[OFFICE], office.address(1), count=3).received == 3
    assert client.stop() == Exit.STOPPED


def test_what_proxies_refuse_is_told(office: Office) -> None:
    squid, dante = f"http://alice@{PROXY}:3128", f"socks5h://alice@{PROXY}"
    told = {
        office.behind("tap1", squid, "wrong.pw"): (Exit.REFUSED, "not accept this user and pass"),
        office.behind("tap2", dante, "wrong.pw"): (Exit.REFUSED, "not accept this user and pass"),
        office.behind("tap3", squid, "proxy.pw", f"wss://{NAME}:8443/vpn"): (
            Exit.CONNECT,
            f"makes no connection to {NAME}:8443 (HTTP 403): whoever runs the proxy decides that",
        ),
        office.behind("tap4", squid, "proxy.pw", "wss://nowhere.example.org/"): (
            Exit.CONNECT,
            "it finds no way there: can it look up that name",
        ),
        office.behind("tap5", dante, "proxy.pw", f"wss://{NAME}:444/"): (
            Exit.CONNECT,
            "nobody listens there",
        ),
        office.behind("tap6", f"http://alice@{PROXY}:1080", "proxy.pw"): (
            Exit.CONNECT,
            f"the proxy http://{PROXY}:1080 hung up",
        ),
    }
    for client, (code, sentence) in told.items():
        assert client.wait_for_end() == code, client.log_text()
        assert sentence in client.log_text().splitlines()[-1]
