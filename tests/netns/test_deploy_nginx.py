"""deploy/nginx.conf as it is, with Debian's nginx: who comes in, and what uWSGI is told of them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS, SERVER_ADDRESS_6, Lan
from tests.support.nginx import Nginx
from tests.support.prerequisites import require, require_root
from tests.support.raw_client import RawClient, basic
from tests.support.tell import read_told, write_tell
from tests.support.uwsgi import Uwsgi
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

ALICE = basic("alice", "wonderland")
BOB = basic("bob", "builder")
MEMBERS = {"htpasswd-blue": ["alice"], "htpasswd-red": ["bob"], "htpasswd-operators": ["bob"]}
LIE = "forged"
FORGED = [
    (name, LIE)
    for variable in (
        "REMOTE_USER",
        "DN",
        "HTTPS_DN",
        "VPNWS_NETWORK",
        "VPNWS_ENDPOINT",
        "REMOTE_ADDR",
        "HTTPS",
    )
    for name in (variable, variable.replace("_", "-"), f"HTTP_{variable}", f"X-{variable}")
]


@dataclass(frozen=True, slots=True)
class Bed:
    lan: Lan
    nginx: Nginx
    uwsgi: Uwsgi

    def connect(
        self, context: ssl.SSLContext | None = None, host: str = SERVER_ADDRESS
    ) -> RawClient:
        tls = context or self.nginx.ca.client_context()
        return RawClient(host, 443, namespace=self.lan.stations[0], tls=tls)

    def status(
        self, path: str, *headers: tuple[str, str], context: ssl.SSLContext | None = None
    ) -> int:
        with self.connect(context) as client:
            return client.upgrade(path, headers).status

    def told(
        self, path: str, *headers: tuple[str, str], context: ssl.SSLContext | None = None
    ) -> dict[str, str]:
        """Join with forged headers besides, and return what the app was told."""
        with self.connect(context) as client:
            assert client.upgrade(path, [*FORGED, *headers, *FORGED]).status == 101
            variables = read_told(client)
        believed = [name for name, value in variables.items() if LIE in value]
        assert [name for name in believed if not name.startswith("HTTP_")] == []
        return variables


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    require_root()
    require("nginx", "openssl", "ip", "unshare")
    ini = write_tell(tmp_path_factory.mktemp("tell"))
    with (
        Lan(1) as lan,
        Nginx(lan.server, user="www-data", worker_processes=2, members=MEMBERS) as nginx,
        Uwsgi(
            ini=ini, namespace=lan.server, socket_path=nginx.socket_path, has_mule=False
        ) as uwsgi,
    ):
        yield Bed(lan, nginx, uwsgi)


def test_nginx_finds_no_fault_with_it(bed: Bed) -> None:
    said = bed.nginx.check()
    assert "test is successful" in said
    assert "warn" not in said


@pytest.mark.parametrize("path", ["/", "/vpn/", "/vpnx", "/anything"])
@pytest.mark.parametrize("host", [SERVER_ADDRESS, SERVER_ADDRESS_6])
def test_everybody_else_sees_an_innocent_page(bed: Bed, path: str, host: str) -> None:
    with bed.connect(host=host) as client:
        answer = client.upgrade(path, [ALICE])
    assert (answer.status, answer.headers["server"]) == (200, "nginx")
    assert b"nothing here yet" in answer.body


@pytest.mark.parametrize(("path", "login"), [("/vpn", BOB), ("/blue", ALICE), ("/red", BOB)])
def test_a_password_is_needed(bed: Bed, path: str, login: tuple[str, str]) -> None:
    assert bed.status(path) == 401
    assert bed.status(path, basic("alice", "guess")) == 401
    assert bed.status(path, basic("eve", "wonderland")) == 401
    assert bed.status(path, login) == 101


def test_a_user_of_one_network_cannot_enter_another_by_its_url(bed: Bed) -> None:
    assert bed.status("/red", ALICE) == 401
    assert bed.status("/blue", BOB) == 401


def test_only_operators_enter_the_control_location_and_no_station_joins_there(bed: Bed) -> None:
    """The tell app takes everything for a station, so here is who gets in, and what is told."""
    assert bed.status("/vpn_admin") == 401
    assert bed.status("/vpn_admin", ALICE) == 401
    assert bed.status("/vpn_admin/api/v1/ports", ALICE) == 401
    told = bed.told("/vpn_admin", BOB)
    assert (told["REMOTE_USER"], told["VPNWS_ENDPOINT"]) == ("bob", "control")
    assert "VPNWS_ENDPOINT" not in bed.told("/vpn", ALICE)


def test_the_app_is_told_the_checked_name_alone(bed: Bed) -> None:
    told = bed.told("/vpn", ALICE)
    assert (told["REMOTE_USER"], told["REMOTE_ADDR"]) == ("alice", Lan.address(0))
    assert not {"DN", "HTTPS_DN", "VPNWS_NETWORK"} & told.keys()


@pytest.mark.parametrize(
    ("network", "user", "login"), [("blue", "alice", ALICE), ("red", "bob", BOB)]
)
def test_the_location_names_the_network(
    bed: Bed, network: str, user: str, login: tuple[str, str]
) -> None:
    told = bed.told(f"/{network}", login)
    assert (told["REMOTE_USER"], told["VPNWS_NETWORK"]) == (user, network)


def test_a_certificate_opens_cert_and_nothing_else(bed: Bed) -> None:
    context = bed.nginx.ca.client_context(bed.nginx.clients_ca.client("laptop"))
    told = bed.told("/cert", context=context)
    assert told["DN"] == "CN=laptop,O=vpnws tests"
    assert "VPNWS_NETWORK" not in told
    assert bed.status("/vpn", context=context) == 401


def test_no_certificate_no_cert(bed: Bed) -> None:
    assert bed.status("/cert") == 403
    assert bed.status("/cert", ALICE) == 403


def test_a_certificate_of_the_wrong_authority_is_refused(bed: Bed) -> None:
    context = bed.nginx.ca.client_context(bed.nginx.ca.client("laptop"))
    assert bed.status("/cert", context=context) == 400
    assert bed.status("/vpn", ALICE, context=context) == 400


def test_a_name_claimed_beside_a_certificate_is_not_passed_on(bed: Bed) -> None:
    context = bed.nginx.ca.client_context(bed.nginx.clients_ca.client("laptop"))
    assert "REMOTE_USER" not in bed.told("/cert", basic("root", "unchecked"), context=context)


def test_two_names_in_one_request_are_refused(bed: Bed) -> None:
    assert bed.status("/vpn", ALICE, BOB) == 400


@pytest.mark.parametrize("length", [1, 1514, 65_549, 1_000_000])
def test_data_passes_whole(bed: Bed, length: int) -> None:
    with bed.connect() as client:
        assert client.upgrade("/vpn", [ALICE]).status == 101
        client.read_message()
        client.send_frame(bytes(length))
        assert client.read_message() == bytes(length)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(bed: Bed) -> None:
    context = bed.nginx.ca.client_context()
    # The level lets this end of OpenSSL offer TLS 1.1, so that it is nginx that refuses.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        bed.connect(context)


def test_the_log_has_names_and_no_query_string(bed: Bed) -> None:
    assert bed.status("/vpn?token=secret", ALICE) == 101
    wait_for(lambda: '"alice"' in bed.nginx.access_log(), 5, "a line with the name in the log")
    assert "secret" not in bed.nginx.access_log()


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X_Forwarded_Proto", "x-forwarded_proto"])
@pytest.mark.parametrize("path", ["/vpn", "/blue", "/red", "/cert"])
def test_no_scheme_of_a_client_reaches_uwsgi_which_it_would_crash(
    bed: Bed, path: str, name: str
) -> None:
    workers = bed.uwsgi.worker_pids()
    context = bed.nginx.ca.client_context(bed.nginx.clients_ca.client("laptop"))
    login = {"/cert": (), "/red": (BOB,)}.get(path, (ALICE,))
    told = bed.told(path, *login, (name, "\xff"), context=context)
    assert told["HTTP_X_FORWARDED_PROTO"] == "https"
    assert bed.status("/", (name, "\xff")) == 200
    assert bed.uwsgi.worker_pids() == workers
