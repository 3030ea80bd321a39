"""The WSGI entry: what a request must have, what it becomes, and how it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.house import House
from tests.fakes.wire import Wire
from tests.support.frames import mac
from vpnws.config import Settings
from vpnws.errors import UpgradeError
from vpnws.server.web.app import LOOK_EVERY_S, RETRY_AFTER_S
from vpnws.server.web.refusals import LOG_AGAIN_S
from vpnws.server.web.request import choose_subprotocol, read_request
from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, SAME_COMMUNITY
from vpnws.wire.ethernet import format_mac
from vpnws.wire.records import SUBPROTOCOL
from vpnws.wire.websocket import PONG_HEADER

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tests.fakes.station import Station

GOOD = {
    "REQUEST_METHOD": "GET",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}
MAC = format_mac(mac(1))


def refusal(**changes: str | None) -> UpgradeError:
    environ: dict[str, Any] = GOOD | changes
    environ = {name: text for name, text in environ.items() if text is not None}
    with pytest.raises(UpgradeError) as caught:
        read_request(environ, Settings())
    return caught.value


class TestWhatARequestMustHave:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_browser_is_told_what_this_is(self, method: str) -> None:
        none = dict.fromkeys(
            ("HTTP_UPGRADE", "HTTP_SEC_WEBSOCKET_KEY", "HTTP_SEC_WEBSOCKET_VERSION")
        )
        error = refusal(REQUEST_METHOD=method, **none)
        assert error.status == "426 Upgrade Required"
        assert "vpnws-client tap0 wss://" in str(error)

    @pytest.mark.parametrize("key", [None, "AAAAAAAAAAAAAAAAAAAAAA=="])
    def test_a_station_whose_upgrade_was_removed_is_told_what_did_arrive(
        self, key: str | None
    ) -> None:
        error = refusal(
            HTTP_UPGRADE=None,
            HTTP_SEC_WEBSOCKET_KEY=key,
            HTTP_X_VPN_WS_MAC="02:00:00:00:00:0a",
            HTTP_CONNECTION="close",
        )
        also = "Sec-WebSocket-Key, " if key else ""
        assert (
            f"no 'Upgrade: websocket' header; Connection, {also}Sec-WebSocket-Version,"
            " X-vpn-ws-MAC did arrive. If the client sent one, a proxy on the way removed it"
        ) in str(error)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"REQUEST_METHOD": "POST"}, "A WebSocket handshake is a GET request"),
            ({"HTTP_UPGRADE": None}, "no 'Upgrade: websocket' header"),
            ({"HTTP_UPGRADE": "h2c"}, "no 'Upgrade: websocket' header"),
            ({"HTTP_SEC_WEBSOCKET_KEY": None}, "Sec-WebSocket-Key is missing or not base64"),
            ({"HTTP_SEC_WEBSOCKET_KEY": "a b"}, "Sec-WebSocket-Key is missing or not base64"),
            ({"HTTP_ORIGIN": "http://x\r\nX-Evil: 1"}, "Origin has characters"),
            ({"HTTP_X_VPN_WS_MAC": "aa:bb"}, "X-vpn-ws-MAC is not a MAC"),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a,,b"}, "Sec-WebSocket-Protocol is not a list"),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a b"}, "Sec-WebSocket-Protocol is not a list"),
        ],
    )
    def test_a_station_that_asks_wrongly_is_refused(
        self, changes: dict[str, str | None], sentence: str
    ) -> None:
        error = refusal(**changes)
        assert error.status == "400 Bad Request"
        assert sentence in str(error)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"VPNWS_NETWORK": "a network"}, "VPNWS_NETWORK"),
            ({"VPNWS_NETWORK": "n" * 33}, "VPNWS_NETWORK"),
            ({"VPNWS_NETWORK": ""}, "VPNWS_NETWORK = '' cannot name a network"),
            (
                {"VPNWS_NETWROK": "blue"},
                "NETWROK is not known; perhaps VPNWS_NETWORK is meant",
            ),
            ({"VPNWS_ALOW": ""}, "VPNWS_ALOW is not known; perhaps VPNWS_ALLOW is meant"),
            ({"vpnws_role": "isolated"}, "vpnws_role is not known; perhaps VPNWS_ROLE is meant"),
            ({"VPNWS-BRIDGE": "off"}, "VPNWS-BRIDGE is not known; perhaps VPNWS_BRIDGE is meant"),
            ({"VPNW_NETWORK": "blue"}, "VPNW_NETWORK is not known; perhaps VPNWS_NETWORK is meant"),
            ({"NETWORK": "blue"}, "NETWORK is not known; perhaps VPNWS_NETWORK is meant"),
            ({"bridge": "on"}, "bridge is not known; perhaps VPNWS_BRIDGE is meant"),
            ({"REMOTE_USR": "alice"}, "REMOTE_USR is not known; perhaps REMOTE_USER is meant"),
            (
                {"VPNWS_VLAN": "7"},
                "VPNWS_VLAN is not known; perhaps one of VPNWS_NETWORK, VPNWS",
            ),
            ({"REQUEST_METHOD": None}, "'include uwsgi_params;'"),
            ({"VPNWS_ROLE": "king"}, "VPNWS_ROLE = 'king' is not"),
            ({"VPNWS_ALLOW": "everywhere"}, "is not a list of networks with commas between them"),
            ({"VPNWS_BRIDGE": "maybe"}, "VPNWS_BRIDGE = 'maybe' is not"),
        ],
    )
    def test_what_the_web_server_sets_wrongly_is_its_fault(
        self, changes: dict[str, str | None], sentence: str
    ) -> None:
        error = refusal(**changes)
        assert error.status == "500 Internal Server Error"
        assert sentence in str(error)


class TestWhatItBecomes:
    def test_a_plain_one(self) -> None:
        session = read_request(GOOD, Settings())
        assert (session.network, session.subprotocol, session.announced_mac) == (
            "default",
            "",
            None,
        )
        assert session.rights.role == SAME_COMMUNITY
        assert session.answers_pings
        assert not session.wants_bridge

    def test_one_with_everything(self) -> None:
        environ = GOOD | {
            "HTTP_UPGRADE": "WebSocket",
            "HTTP_X_VPN_WS_MAC": MAC,
            "HTTP_X_VPN_WS_BRIDGE": "On",
            "HTTP_SEC_WEBSOCKET_PROTOCOL": f"chat, {SUBPROTOCOL}",
            "VPNWS_NETWORK": "blue",
            "VPNWS_ROLE": "promiscuous",
            "VPNWS_BRIDGE": "on",
            "REMOTE_USER": "alice",
            "REMOTE_ADDR": "192.0.2.1",
        }
        session = read_request(environ, Settings())
        assert session.network == "blue"
        assert session.subprotocol == SUBPROTOCOL
        assert session.announced_mac == mac(1)
        assert session.wants_bridge
        assert session.rights.may_bridge
        assert session.rights.role == PROMISCUOUS
        assert session.identity.remote_user == "alice"
        assert session.identity.remote_addr == "192.0.2.1"

    def test_the_c_client_is_known_by_its_missing_version(self) -> None:
        environ = GOOD | {"HTTP_SEC_WEBSOCKET_KEY": "MTIzNDU2Nzg5MA=="}
        del environ["HTTP_SEC_WEBSOCKET_VERSION"]
        assert not read_request(environ, Settings()).answers_pings

    def test_the_mode_decides_where_no_role_is_given(self) -> None:
        settings = Settings(mode="router", tap=(("default", "vpn0"),))
        assert read_request(GOOD, settings).rights.role == ISOLATED

    def test_what_web_servers_send_besides_is_no_business_of_ours(self) -> None:
        sent = {
            "VHOST": "x",
            "VPN_SITE": "here",
            "HTTPS": "on",
            "DOCUMENT_ROOT": "/var/www",
            "UWSGI_ROUTER": "http",
            "HTTP_VIA": "1.1 x",
        }
        assert read_request(GOOD | sent, Settings()).network == "default"

    def test_a_station_cannot_give_itself_rights(self) -> None:
        names = ("ROLE", "NETWORK", "ALLOW", "NETWROK")
        claims = {f"HTTP_VPNWS_{name}": "promiscuous" for name in names}
        session = read_request(GOOD | claims, Settings())
        assert (session.network, session.rights.role) == ("default", SAME_COMMUNITY)


@pytest.mark.parametrize(
    ("offer", "allowed", "chosen"),
    [
        ("", True, ""),
        (SUBPROTOCOL, True, SUBPROTOCOL),
        (f"chat,{SUBPROTOCOL}", True, SUBPROTOCOL),
        (f"{SUBPROTOCOL}, chat", False, "chat"),
        (SUBPROTOCOL, False, ""),
        ("chat, superchat", True, "chat"),
    ],
)
def test_the_subprotocol(offer: str, allowed: bool, chosen: str) -> None:
    assert choose_subprotocol(offer, offload_allowed=allowed) == chosen


@pytest.fixture
def house() -> Iterator[House]:
    with House(settings={"max-ports": "1"}) as made:
        yield made


def body_of(station: Station) -> str:
    return station.request.body.decode()


class TestApplication:
    def test_a_refusal_is_a_status_and_a_sentence(self, house: House) -> None:
        station = house.connect(HTTP_X_VPN_WS_MAC="nonsense")
        sentence = "X-vpn-ws-MAC is not a MAC (aa:bb:cc:dd:ee:ff)."
        assert body_of(station) == f"400 Bad Request\n\n{sentence}\n"
        assert dict(station.request.headers) == {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(station.request.body)),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        assert station.request.is_over
        assert station.is_hung_up

    @pytest.mark.parametrize(
        ("protocol", "upgrade"),
        [
            ("HTTP/1.1", "websocket"),
            ("HTTP/1.0", "websocket"),
            ("HTTP/2.0", None),
            ("HTTP/3.0", None),
        ],
    )
    def test_a_browser_is_told_to_upgrade_if_its_version_of_http_can(
        self, house: House, protocol: str, upgrade: str | None
    ) -> None:
        station = house.connect(
            HTTP_UPGRADE="", HTTP_SEC_WEBSOCKET_KEY="", SERVER_PROTOCOL=protocol
        )
        assert station.status == "426 Upgrade Required"
        assert dict(station.request.headers).get("Upgrade") == upgrade

    @pytest.mark.parametrize(("version", "status"), [("13", "101"), ("", "101"), ("8", "426")])
    def test_another_version_of_websocket_is_told_which_one_this_is(
        self, house: House, version: str, status: str
    ) -> None:
        station = house.connect(HTTP_SEC_WEBSOCKET_VERSION=version)
        assert station.status.startswith(status)
        told = dict(station.request.headers).get("Sec-WebSocket-Version")
        assert told == ("13" if status == "426" else None)

    def test_a_full_server_says_when_to_come_back(self, house: House) -> None:
        house.connect()
        station = house.connect()
        assert station.status == "503 Service Unavailable"
        assert dict(station.request.headers)["Retry-After"] == str(RETRY_AFTER_S)
        assert body_of(station).endswith("there are 1 stations already\n")

    def test_a_refusal_is_logged_with_who_and_why_and_a_burst_is_folded(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        for _ in range(5):
            house.connect(VPNWS_ROLE="isolatd", REMOTE_USER="al ice", REMOTE_ADDR="192.0.2.1")
        why = "The web server grants a right wrongly: VPNWS_ROLE = 'isolatd' is not"
        (line,) = caplog.messages
        assert line.startswith(
            f"a request was refused with 500 (user=al?ice dn=- addr=192.0.2.1): {why}"
        )
        house.loop.advance(LOG_AGAIN_S + LOOK_EVERY_S)
        assert [message.partition(" (")[0] for message in caplog.messages[1:]] == [
            "4 more requests were refused with 500"
        ]

    def test_a_full_server_is_logged_too(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        house.connect()
        house.connect(REMOTE_ADDR="192.0.2.2")
        who = "user=- dn=- addr=192.0.2.2"
        assert caplog.messages == [
            f"a request was refused with 503 ({who}): there are 1 stations already"
        ]

    def test_who_only_looks_is_not_logged_but_a_client_without_its_upgrade_is(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        looks = house.connect(
            HTTP_UPGRADE="", HTTP_SEC_WEBSOCKET_KEY="", HTTP_SEC_WEBSOCKET_VERSION=""
        )
        assert (looks.status, caplog.messages) == ("426 Upgrade Required", [])
        asks = house.connect(HTTP_UPGRADE="", HTTP_SEC_WEBSOCKET_KEY="")
        assert asks.status == "426 Upgrade Required"
        (line,) = caplog.messages
        assert line.startswith("a request was refused with 426")

    def test_before_the_fork_nobody_is_served(self, house: House) -> None:
        process = house.processes[1]
        process.application._node = None
        station = house.connect()
        assert "the switch has not started in this process" in body_of(station)

    def test_with_stream_the_request_is_over_at_once(self, house: House) -> None:
        station = house.connect()
        assert station.request.is_over
        assert not station.is_hung_up

    def test_a_subprotocol_that_is_not_ours_is_answered_alone(self, house: House) -> None:
        """Of an offer like `vpnws.offload.1` on a server without it, none may be echoed."""
        with House(settings={"offload": "off"}) as other:
            station = other.connect(offload=True)
            assert station.status == "101 Switching Protocols"
            assert "Sec-WebSocket-Protocol" not in station.head
            assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in station.head
        station = house.connect(HTTP_SEC_WEBSOCKET_PROTOCOL="chat, superchat")
        assert "Sec-WebSocket-Protocol: chat\r\n" in station.head

    @pytest.mark.parametrize("offload", [False, True])
    def test_the_server_says_that_it_answers_pings(self, house: House, offload: bool) -> None:
        head = house.connect(offload=offload).head
        assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        assert f"{PONG_HEADER}: on\r\n" in head

    def test_a_station_lost_in_its_handshake_is_logged(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        wire = Wire(house.loop)
        wire.break_off()
        house.connect(wire=wire)
        assert caplog.messages == [
            "a station was lost in its handshake: [Errno 104] Connection reset by peer"
        ]
        assert house.server.page.ports() == 0

    def test_one_that_loses_the_last_place_in_its_handshake_is_closed(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING")
        process = house.processes[1]
        own_connection = process.uwsgi.own_connection

        def own_connection_late() -> socket.socket:
            house.server.page.set_ports(1, 1)
            return own_connection()

        process.uwsgi.own_connection = own_connection_late  # type: ignore[method-assign]
        station = house.connect()
        assert caplog.messages == ["a station came in too late: there are 1 stations already"]
        assert station.is_hung_up
        assert process.node.links == {}
