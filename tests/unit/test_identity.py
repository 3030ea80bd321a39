"""Who a station is: vars beat headers, and headers count only from a trusted proxy."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from vpnws.config import Settings
from vpnws.server.web.identity import Identity
from vpnws.values import parse_addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str, dict[str, str]], Identity]

PROXY = "127.0.0.1"
SAID = {
    "HTTP_X_FORWARDED_USER": "alice",
    "HTTP_X_FORWARDED_DN": "CN=laptop",
    "HTTP_X_FORWARDED_FOR": "192.0.2.7",
}


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function from trusted proxies and a request's variables to who that is."""
    # uWSGI's module exists inside uWSGI only; reading a request calls nothing of it.
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    read_request = importlib.import_module("vpnws.server.web.app").read_request

    def ask(trusted: str, variables: dict[str, str]) -> Identity:
        asked = {
            "REQUEST_METHOD": "GET",
            "HTTP_UPGRADE": "websocket",
            "HTTP_SEC_WEBSOCKET_KEY": "AAECAwQFBgcICQoLDA0ODw==",
        }
        settings = Settings(trusted_proxies=parse_addresses(trusted))
        found: Identity = read_request({**asked, **variables}, settings).identity
        return found

    return ask


@pytest.mark.parametrize("address", [PROXY, "192.0.2.1", "::1", "", "unix", "127.0.0.1, 127.0.0.1"])
def test_without_trusted_proxies_no_header_is_believed(identity: Ask, address: str) -> None:
    assert identity("", {**SAID, "REMOTE_ADDR": address}) == Identity(remote_addr=address)


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.2", "::1", "", "localhost", "127.1"])
def test_from_another_address_no_header_is_believed(identity: Ask, address: str) -> None:
    assert identity(PROXY, {**SAID, "REMOTE_ADDR": address}) == Identity(remote_addr=address)


@pytest.mark.parametrize(
    ("trusted", "address"),
    [
        (PROXY, PROXY),
        ("10.0.0.0/8 127.0.0.1", "10.2.3.4"),
        ("fd00::/8", "fd00::1"),
        (PROXY, "::ffff:127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_and_where_a_station_is(
    identity: Ask, trusted: str, address: str
) -> None:
    found = identity(trusted, {**SAID, "REMOTE_ADDR": address})
    assert found == Identity("alice", "CN=laptop", "192.0.2.7")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
        ("6.6.6.6,127.0.0.1 , fd00::7 ", "fd00::7"),
        ("", PROXY),
        ("6.6.6.6, ", PROXY),
    ],
)
def test_of_many_addresses_the_proxys_own_is_the_last(
    identity: Ask, forwarded: str, address: str
) -> None:
    found = identity(PROXY, {"HTTP_X_FORWARDED_FOR": forwarded, "REMOTE_ADDR": PROXY})
    assert found.remote_addr == address


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({"REMOTE_USER": "bob"}, Identity("bob", "", PROXY)),
        ({"DN": "CN=desk"}, Identity("", "CN=desk", PROXY)),
        ({"HTTPS_DN": "/CN=desk", "DN": "CN=other"}, Identity("", "/CN=desk", PROXY)),
        ({"REMOTE_USER": "bob", "DN": "CN=desk"}, Identity("bob", "CN=desk", PROXY)),
    ],
)
def test_beside_a_variable_no_header_counts(
    identity: Ask, variables: dict[str, str], who: Identity
) -> None:
    """Nginx passes a client's headers on, and the client may be on the proxy's own machine."""
    assert identity(PROXY, {**SAID, **variables, "REMOTE_ADDR": PROXY}) == who


def test_a_variable_needs_no_trust(identity: Ask) -> None:
    found = identity("", {"REMOTE_USER": "bob", "REMOTE_ADDR": "192.0.2.9"})
    assert found == Identity("bob", "", "192.0.2.9")


def test_an_ipv4_station_on_an_ipv6_socket_has_its_ipv4_address(identity: Ask) -> None:
    assert identity("", {"REMOTE_ADDR": "::ffff:192.0.2.9"}).remote_addr == "192.0.2.9"
    assert identity("", {"REMOTE_ADDR": "::ffff:1:2"}).remote_addr == "::ffff:1:2"


def test_a_name_that_is_not_utf_8_stays_what_it_is(identity: Ask) -> None:
    users = [
        identity("", {"REMOTE_USER": name, "REMOTE_ADDR": PROXY}).remote_user
        for name in ("\xc3\xa9", "\xe9", "\xe8")
    ]
    assert users[0] == "é"
    assert len(set(users)) == 3
