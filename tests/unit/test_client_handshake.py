"""From a URL to a WebSocket: against real servers on the loopback interface, good and bad ones."""

import base64
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import ModuleType

import pytest
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.support.ca import CertificateAuthority
from tests.support.dialing import (
    MAC,
    WAIT_S,
    connected,
    failure,
    next_messages,
    settings_for,
)
from tests.support.echo_server import EchoServer
from tests.support.prerequisites import require
from tests.support.real_waiter import real_waiter
from vpnws.client.carry.stream import Stream
from vpnws.client.connect import dial, resolve, secure
from vpnws.client.connect.dial import Dialer
from vpnws.client.connect.handshake import Upgrade
from vpnws.client.connect.heads import MAX_HEAD_BYTES
from vpnws.client.connect.refusal import MAX_BODY_BYTES
from vpnws.client.program.exits import Exit, ends_first_attempt, exit_code
from vpnws.client.waiting import Stopped, Waiter
from vpnws.errors import ConfigError, ConnectError, RefusedError, TlsError
from vpnws.https import tls
from vpnws.https.tls import TlsSettings
from vpnws.server.web.app import refuse
from vpnws.wire.records import SUBPROTOCOL
from vpnws.wire.websocket import PONG_HEADER

Answer = Callable[[bytes], bytes]


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with real_waiter() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    require("openssl")
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_context(authority: CertificateAuthority) -> ssl.SSLContext:
    return authority.server_context("localhost", "127.0.0.1")


def server(
    status: HTTPStatus | None = None,
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> EchoServer:
    return EchoServer(address=(host, 0), context=context, status=status)


@contextmanager
def raw_server(answer: Answer, hang_up: threading.Event | None = None) -> Iterator[int]:
    """A server that reads one request, sends `answer(request)`, and hangs up (at `hang_up`)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock:
            request = b""
            while b"\r\n\r\n" not in request and (data := sock.recv(65536)):
                request += data
            sock.sendall(answer(request))
            if hang_up:
                hang_up.wait(WAIT_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT_S)
        listener.close()


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_frames_cross_after_the_upgrade(waiter: Waiter) -> None:
    with (
        server() as there,
        connected(settings_for(f"ws://127.0.0.1:{there.port}/vpn?t=1"), waiter) as connection,
    ):
        connection.send_frames([b"a" * 60, b"b" * 1500])
        assert next_messages(connection, 2) == [b"a" * 60, b"b" * 1500]
    headers = there.requests[0].headers
    assert there.requests[0].path == "/vpn?t=1"
    assert headers["X-vpn-ws-MAC"] == "02:00:00:00:00:0a"
    assert headers["Host"] == f"127.0.0.1:{there.port}"
    assert "Authorization" not in headers
    assert "X-vpn-ws-bridge" not in headers
    assert "Sec-WebSocket-Extensions" not in headers


def test_user_bridge_and_own_headers_are_sent(waiter: Waiter) -> None:
    own = (("X-Token", "a"), ("X-Token", "b"), ("Host", "inner.example"))
    with server() as there:
        url = f"ws://al:p%3A%E2%82%AC@127.0.0.1:{there.port}/"
        with connected(settings_for(url, headers=own, bridge="br0"), waiter):
            pass
    headers = there.requests[0].headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == "al:p:€".encode()
    assert headers["X-vpn-ws-bridge"] == "on"
    assert headers.get_all("X-Token") == ["a", "b"]
    assert headers.get_all("Host") == ["inner.example"]


def test_ipv6_works(waiter: Waiter) -> None:
    with (
        server(host="::1") as there,
        connected(settings_for(f"ws://[::1]:{there.port}/"), waiter) as connection,
    ):
        connection.send_frames([b"c" * 60])
        assert next_messages(connection, 1) == [b"c" * 60]
    assert there.requests[0].headers["Host"] == f"[::1]:{there.port}"


@pytest.mark.parametrize(
    ("status", "userinfo", "needle"),
    [
        (401, "", "wants a user and a password: see --user and --password-file (HTTP 401)"),
        (401, "al:s3cret@", "does not accept this user and password (HTTP 401)"),
        (401, "al:s3cret%20@", "password; one of them begins or ends with a space (HTTP 401)"),
        (401, "%20al:s3cret@", "password; one of them begins or ends with a space (HTTP 401)"),
        (403, "", "may not join"),
        (404, "", "check the URL's path"),
        (400, "", "does not understand the request"),
        (426, "", "arrived without its header Upgrade: something on the way removed it"),
        (502, "", "is uWSGI running"),
        (503, "", "full or restarting"),
        (504, "", "does not answer"),
        (200, "", "did not upgrade to WebSocket"),
        (500, "", "did not upgrade to WebSocket"),
    ],
)
def test_a_refusal_is_told_with_its_status(
    waiter: Waiter, status: int, userinfo: str, needle: str
) -> None:
    with server(HTTPStatus(status)) as there:
        error = failure(settings_for(f"ws://{userinfo}127.0.0.1:{there.port}/"), waiter)
    assert isinstance(error, RefusedError)
    assert error.status == status
    assert needle in str(error)
    assert "s3cret" not in str(error)


def our_refusal(status: str, sentence: str) -> bytes:
    """Return what a vpnws server answers, with the headers that a web server in front adds."""
    told: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> Callable[[bytes], object]:
        told.append(f"HTTP/1.1 {status}\r\n")
        told.extend(f"{name}: {value}\r\n" for name, value in [("Server", "x"), *headers])
        return lambda _: None

    body = b"".join(refuse(start_response, status, sentence, []))
    return "".join(told).encode() + b"\r\n" + body


WRONG_ROLE = "The web server grants a right wrongly: VPNWS_ROLE = 'isolatd' is not a role."
WRONG_ROLE_TOLD = f"the server says: {WRONG_ROLE.rstrip('.')} (HTTP 500)"


def test_the_sentence_of_our_own_server_is_shown(waiter: Waiter) -> None:
    answer = our_refusal("500 Internal Server Error", WRONG_ROLE)
    with raw_server(lambda _: answer) as port:
        error = failure(settings_for(f"ws://127.0.0.1:{port}/"), waiter)
    assert isinstance(error, RefusedError)
    assert (error.status, str(error)) == (500, WRONG_ROLE_TOLD)


def test_the_sentence_may_come_byte_by_byte() -> None:
    upgrade = Upgrade(settings_for("ws://h/"), MAC)
    *answer, last = our_refusal("500 Internal Server Error", WRONG_ROLE)
    assert not any(upgrade.feed(bytes((byte,))) for byte in answer)
    assert upgrade.refused_with == 500
    with pytest.raises(RefusedError) as caught:
        upgrade.feed(bytes((last,)))
    assert str(caught.value) == WRONG_ROLE_TOLD


def answer_of(status: int, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "answer",
    [
        answer_of(503, b"", "Content-Length: 100"),
        answer_of(503, b"<html>503", "Content-Length: 1000000"),
        answer_of(503, b"b\r\n503 S\n\nfull", "Transfer-Encoding: chunked"),
    ],
)
def test_a_body_that_does_not_come_holds_nobody_up(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(dial, "BODY_TIMEOUT_S", 0.05)
    given_up = threading.Event()
    with raw_server(lambda _: answer, given_up) as port:
        error = failure(settings_for(f"ws://127.0.0.1:{port}/"), waiter)
        given_up.set()
    assert isinstance(error, RefusedError)
    assert "full or restarting (HTTP 503)" in str(error)


DATE = "Date: Sat, 28 Nov 2026 19:00:00 GMT"


def refused(answer: bytes, url: str = "ws://h/") -> RefusedError:
    """Return what becomes of a complete refusal."""
    upgrade = Upgrade(settings_for(url), MAC)
    with pytest.raises(RefusedError) as caught:
        upgrade.feed(answer)
    return caught.value


def test_no_more_of_a_body_is_kept_than_is_read() -> None:
    upgrade = Upgrade(settings_for("ws://h/"), MAC)
    assert not upgrade.feed(answer_of(503, b"", "Content-Length: 999999999"))
    assert not upgrade.feed(bytes(MAX_BODY_BYTES - 1))
    with pytest.raises(RefusedError, match="full or restarting"):
        upgrade.feed(b"x")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"503 Service Unavailable\n\nfull: 10 of 10\n", "the server says: full: 10 of 10 ("),
        (b"503 S\n\nescape \x1b[2J\xff\n", "the server says: escape ?[2J\ufffd ("),
        (b"503 S\n\n" + b"x" * 500, "the server says: " + "x" * 400 + "... ("),
        (b"503 S\n\nA page for browsers\n\nwith more in it", "full or restarting"),
        (b"404 S\n\nnot this status\n", "full or restarting"),
        (b"503 S\nno empty line\n", "full or restarting"),
        (b"503 S\n\n", "full or restarting"),
        (b"<h1>503 S</h1>\n\nno text of ours\n", "full or restarting"),
        (b"", "full or restarting"),
    ],
)
def test_only_our_own_sentence_is_shown_and_that_made_safe(body: bytes, shown: str) -> None:
    answer = answer_of(503, body, f"Content-Length: {len(body)}")
    assert shown in str(refused(answer))


TO_TLS_PORT = (
    b"<center>The plain HTTP request was sent to HTTPS port</center>",
    b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    b"Client sent an HTTP request to an HTTPS server.\n",
)
"""The words of nginx, Apache and Caddy."""


@pytest.mark.parametrize("body", TO_TLS_PORT)
def test_a_web_server_that_wants_tls_is_told(body: bytes) -> None:
    answer = answer_of(400, body, f"Content-Length: {len(body)}")
    assert "that port speaks TLS: use wss:// instead" in str(refused(answer))
    assert "does not understand the request" in str(refused(answer, "wss://h/"))


@pytest.mark.parametrize(
    ("body", "needle"),
    [
        (b"<center>No required SSL certificate was sent</center>", "wants a certificate"),
        (b"<center>The SSL certificate error</center>", "does not accept this station's"),
    ],
)
def test_a_web_server_that_wants_another_certificate_is_told(body: bytes, needle: str) -> None:
    error = refused(answer_of(400, body, f"Content-Length: {len(body)}"), "wss://h/")
    assert needle in str(error)
    assert "--crt" in str(error)
    assert str(error).endswith("(HTTP 400)")
    # No retry helps: the program ends with the code of a refusal, as after 403.
    assert exit_code(error) is Exit.REFUSED
    assert ends_first_attempt(error)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        (("Retry-After: 10",), 10.0),
        (("retry-after:\t7 ",), 7.0),
        ((DATE, "Retry-After: Sat, 28 Nov 2026 19:00:30 GMT"), 30.0),
        ((DATE, "Retry-After: Sat, 28 Nov 2026 18:00:00 GMT"), 0.0),
        # A date counts from the server's clock, never from ours.
        (("Retry-After: Sat, 28 Nov 2026 19:00:30 GMT",), None),
        ((DATE, "Retry-After: soon"), None),
        ((DATE, "Retry-After: -5"), None),
        ((), None),
    ],
)
def test_when_to_come_back_is_read(headers: tuple[str, ...], wait_s: float | None) -> None:
    assert refused(answer_of(503, b"", "Content-Length: 0", *headers)).retry_after_s == wait_s


def test_a_redirect_is_told_without_its_secrets(waiter: Waiter) -> None:
    head = b"HTTP/1.1 301 Moved\r\nLocation: https://al:s3cret@h/vpn?t0ken\r\n\r\n"
    with raw_server(lambda _: head) as port:
        error = failure(settings_for(f"ws://127.0.0.1:{port}/"), waiter)
    assert isinstance(error, RefusedError)
    assert error.status == 301
    assert "another host, to https://***@h/vpn: either that is the server's new place" in str(error)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Hotel &amp; Spa\x1b Wi-Fi</title></head>...</html>"
PLAIN, SECURE = "ws://vpn.example/vpn", "wss://vpn.example/vpn"


@pytest.mark.parametrize(
    ("url", "answer", "needle"),
    [
        (
            PLAIN,
            answer_of(200, PAGE, f"Content-Length: {len(PAGE)}"),
            'a web page ("Hotel & Spa? Wi-Fi") came in place of the switch\'s answer: either the'
            " URL's path is wrong, or this network wants a login first: open http://vpn.example/ in"
            " a browser on this machine (HTTP 200)",
        ),
        (PLAIN, answer_of(200, b"", "Content-Type: text/html", "Content-Length: 0"), "a web page"),
        (
            SECURE,
            answer_of(200, PAGE, f"Content-Length: {len(PAGE)}"),
            'the server answers with a web page ("Hotel & Spa? Wi-Fi"): is the URL\'s path right?',
        ),
        (
            PLAIN,
            answer_of(302, b"", "Location: http://login.hotel/?mac=1", "Content-Length: 0"),
            "points to another host, to http://login.hotel/: either that is the server's new place,"
            " or this network wants a login first: open http://login.hotel/ in a browser",
        ),
        (
            PLAIN,
            answer_of(301, b"", "Location: https://vpn.example/vpn", "Content-Length: 0"),
            "points elsewhere, to https://vpn.example/vpn: give the final URL; it seems to want"
            " TLS: use wss://",
        ),
        (
            SECURE,
            answer_of(302, b"", "Location: https://new.example/", "Content-Length: 0"),
            "the server points elsewhere, to https://new.example/: give the final URL (HTTP 302)",
        ),
        (PLAIN, answer_of(307, b"", "Content-Length: 0"), "the server points elsewhere: give the"),
        (
            PLAIN,
            answer_of(511, b"", "Content-Length: 0"),
            "this network wants a login first: open http://vpn.example/ in a browser",
        ),
        (PLAIN, answer_of(426, b"", "Content-Length: 0"), "which wss:// would keep out"),
        (SECURE, answer_of(426, b"", "Content-Length: 0"), "does not pass upgrades on (HTTP 426)"),
        (PLAIN, answer_of(200, b"ok", "Content-Length: 2"), "did not upgrade to WebSocket"),
    ],
)
def test_who_stands_in_for_the_server_is_told(url: str, answer: bytes, needle: str) -> None:
    error = refused(answer, url)
    assert needle in str(error)
    assert str(error).isprintable()


def test_a_page_that_anybody_may_have_sent_over_tls_may_be_a_login_page() -> None:
    settings = settings_for(SECURE, tls=TlsSettings(verify=False))
    with pytest.raises(RefusedError, match="this network wants a login first"):
        Upgrade(settings, MAC).feed(answer_of(200, PAGE, f"Content-Length: {len(PAGE)}"))


def test_a_token_that_is_refused_is_told() -> None:
    settings = settings_for(SECURE, headers=(("Authorization", "Bearer t0ken"),))
    with pytest.raises(RefusedError, match="does not accept this token"):
        Upgrade(settings, MAC).feed(answer_of(401, b"", "Content-Length: 0"))


def test_bytes_after_the_101_are_kept(waiter: Waiter) -> None:
    def answer(request: bytes) -> bytes:
        protocol = ServerProtocol()
        protocol.receive_data(request)
        asked = protocol.events_received()[0]
        assert isinstance(asked, Request)
        protocol.send_response(protocol.accept(asked))
        protocol.send_binary(b"x" * 60)
        protocol.send_binary(b"y" * 3000)
        return b"".join(protocol.data_to_send())

    with (
        raw_server(answer) as port,
        connected(settings_for(f"ws://127.0.0.1:{port}/"), waiter) as connection,
    ):
        assert next_messages(connection, 2) == [b"x" * 60, b"y" * 3000]


def answer_choosing(chosen: str, request: bytes, **headers: str) -> bytes:
    """Return an answer that completes the handshake and chooses this subprotocol."""
    protocol = ServerProtocol()
    protocol.receive_data(request)
    asked = protocol.events_received()[0]
    assert isinstance(asked, Request)
    response = protocol.accept(asked)
    if chosen:
        response.headers["Sec-WebSocket-Protocol"] = chosen
    response.headers.update(headers)
    protocol.send_response(response)
    return b"".join(protocol.data_to_send())


@pytest.mark.parametrize(
    ("chosen", "headers", "answers_pings"),
    [
        ("", {}, False),
        ("", {PONG_HEADER: "on"}, True),
        ("", {PONG_HEADER.lower(): "on"}, True),
        ("", {PONG_HEADER: "off"}, False),
        (SUBPROTOCOL, {}, True),
    ],
)
def test_a_server_that_answers_pings_says_so(
    waiter: Waiter, chosen: str, headers: dict[str, str], answers_pings: bool
) -> None:
    """So one that hangs before its first pong is not taken for a C vpn-ws server."""
    with (
        raw_server(lambda request: answer_choosing(chosen, request, **headers)) as port,
        connected(settings_for(f"ws://127.0.0.1:{port}/"), waiter) as connection,
    ):
        assert connection.answers_pings is answers_pings


@pytest.mark.parametrize(("chosen", "has_offload"), [(SUBPROTOCOL, True), ("", False)])
def test_offload_is_on_if_the_server_chooses_it(
    waiter: Waiter, chosen: str, has_offload: bool
) -> None:
    with (
        raw_server(lambda request: answer_choosing(chosen, request)) as port,
        connected(settings_for(f"ws://127.0.0.1:{port}/"), waiter) as connection,
    ):
        assert connection.has_offload is has_offload


@pytest.mark.parametrize(("chosen", "offload"), [(SUBPROTOCOL, False), ("vpnws.offload.9", True)])
def test_a_subprotocol_that_was_not_offered_is_refused(
    waiter: Waiter, chosen: str, offload: bool
) -> None:
    with raw_server(lambda request: answer_choosing(chosen, request)) as port:
        error = failure(settings_for(f"ws://127.0.0.1:{port}/", offload=offload), waiter)
    assert "does not complete a WebSocket handshake" in str(error)


@pytest.mark.parametrize(("offload", "offered"), [(True, [SUBPROTOCOL]), (False, [])])
def test_offload_is_offered_unless_it_is_not_wanted(
    waiter: Waiter, offload: bool, offered: list[str]
) -> None:
    with (
        server() as there,
        connected(settings_for(f"ws://127.0.0.1:{there.port}/", offload=offload), waiter),
    ):
        pass
    assert there.requests[0].headers.get_all("Sec-WebSocket-Protocol") == offered


HEAD_OF_ANOTHER_KEY = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "needle"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a web server"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "that port speaks TLS: use wss://"),
        (b"HTTP/1.1 1x1 What\r\n\r\n", "no proper HTTP status line"),
        (b"HTTP/1.1 " + b"a" * (MAX_HEAD_BYTES + 1), "longer than"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "does not complete a WebSocket handshake"),
        (HEAD_OF_ANOTHER_KEY, "Sec-WebSocket-Accept"),
        (b"", "hung up instead of answering the request to upgrade; does that port speak TLS"),
        (b"HTTP/1.1 101 Switch", "hung up"),
    ],
)
def test_what_is_no_websocket_server_is_told(waiter: Waiter, answer: bytes, needle: str) -> None:
    with raw_server(lambda _: answer) as port:
        error = failure(settings_for(f"ws://127.0.0.1:{port}/"), waiter)
    assert not isinstance(error, RefusedError)
    assert needle in str(error)


def judged(data: bytes) -> str:
    """Feed an answer to a fresh upgrade; return the sentence about it, if there is one."""
    try:
        upgraded = Upgrade(settings_for("ws://h/"), MAC).feed(data)
    except ConnectError as error:
        return str(error)
    assert not upgraded
    return ""


def test_random_bytes_get_a_printable_sentence_or_none() -> None:
    dice = random.Random(5)
    sentences = set()
    for _ in range(2000):
        head = b"HTTP/1.1 101 x\r\n" * dice.randrange(2)
        rest = dice.randbytes(dice.randrange(60))
        sentences.add(judged(head + rest + b"\r\n\r\n" * dice.randrange(2)))
    assert all(sentence.isprintable() for sentence in sentences)
    assert len(sentences) > 2


@pytest.mark.parametrize(("second", "answers_pings"), [("on", True), ("off", True)])
def test_headers_of_ours_may_come_twice(second: str, answers_pings: bool) -> None:
    upgrade = Upgrade(settings_for("ws://h/"), MAC)
    head = answer_choosing("", upgrade.request, **{PONG_HEADER: "on"}).removesuffix(b"\r\n")
    assert upgrade.feed(head + f"{PONG_HEADER}: {second}\r\n\r\n".encode())
    assert upgrade.answers_pings is answers_pings


def test_an_answer_may_come_byte_by_byte() -> None:
    upgrade = Upgrade(settings_for("ws://h/"), MAC)
    protocol = ServerProtocol()
    protocol.receive_data(upgrade.request)
    asked = protocol.events_received()[0]
    assert isinstance(asked, Request)
    protocol.send_response(protocol.accept(asked))
    answer = b"".join(protocol.data_to_send())
    assert not any(upgrade.feed(bytes((byte,))) for byte in answer[:-1])
    assert upgrade.feed(answer[-1:] + b"early")
    assert upgrade.early == b"early"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_closed_port_is_told(waiter: Waiter) -> None:
    port = closed_port()
    error = failure(settings_for(f"ws://127.0.0.1:{port}/"), waiter)
    assert str(error) == (
        f"cannot connect to 127.0.0.1:{port}: Connection refused, nobody listens there: does the"
        " server run, and is the port right? (127.0.0.1)"
    )


def test_a_port_that_resets_a_request_in_the_clear_may_speak_tls(waiter: Waiter) -> None:
    """A TLS server's alert is lost if it closes before it has read the whole request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            sock, _ = listener.accept()
            sock.recv(1)
            # What is unread at the close resets the connection.
            sock.close()

        thread = threading.Thread(target=run)
        thread.start()
        error = failure(settings_for(f"ws://127.0.0.1:{listener.getsockname()[1]}/"), waiter)
        thread.join()
    assert str(error).endswith(
        "hung up: Connection reset by peer; does that port speak TLS (wss://)?"
    )


def test_a_way_that_leads_into_the_vpn_is_told(waiter: Waiter) -> None:
    port = closed_port()
    covering = settings_for(f"ws://127.0.0.1:{port}/", addresses=("10.0.0.1/8", "127.0.0.1/8"))
    assert "--address 127.0.0.1/8 covers the server's own" in str(failure(covering, waiter))
    beside = settings_for(f"ws://127.0.0.1:{port}/", addresses=("127.0.0.2/8",))
    assert "Connection refused" in str(failure(beside, waiter))


def test_every_address_is_tried(waiter: Waiter, monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as there:
        addresses = [
            (socket.AF_INET6, ("::1", there.port, 0, 0)),
            (socket.AF_INET, ("127.0.0.9", there.port)),
            (socket.AF_INET, ("127.0.0.1", there.port)),
        ]
        monkeypatch.setattr(resolve, "_lookup", lambda *_: addresses)
        with connected(settings_for("ws://many.example/"), waiter) as connection:
            connection.send_frames([b"d" * 60])
            assert next_messages(connection, 1) == [b"d" * 60]


def test_a_name_that_does_not_exist_is_told(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    error = failure(settings_for("ws://nowhere.example/"), waiter)
    assert str(error) == (
        "cannot look up nowhere.example: Name or service not known; check the name, and this"
        " machine's name servers (getent hosts nowhere.example)"
    )


def test_a_resolver_that_hangs_does_not_delay_a_stop(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr(resolve, "_lookup", lambda *_: held.wait(WAIT_S) and [])
    threading.Timer(0.1, waiter.stop.request).start()
    with pytest.raises(Stopped):
        Dialer(settings_for("ws://slow.example/"), None, waiter).connect(MAC)
    held.set()


@pytest.mark.parametrize(
    ("scheme", "where", "limit", "needle"),
    [
        ("ws", dial, "HANDSHAKE_TIMEOUT_S", "then said nothing"),
        ("wss", secure, "TLS_TIMEOUT_S", "did not begin TLS: check host and port, or use ws://"),
    ],
)
def test_a_server_that_says_nothing_is_given_up(
    waiter: Waiter,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    where: ModuleType,
    limit: str,
    needle: str,
) -> None:
    monkeypatch.setattr(where, limit, 0.1)
    with silent_server() as port:
        error = failure(settings_for(f"{scheme}://127.0.0.1:{port}/"), waiter)
    assert needle in str(error)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_server_that_says_nothing_does_not_delay_a_stop(waiter: Waiter, scheme: str) -> None:
    with silent_server() as port:
        threading.Timer(0.1, waiter.stop.request).start()
        settings = settings_for(f"{scheme}://127.0.0.1:{port}/")
        with pytest.raises(Stopped), connected(settings, waiter):
            pass


def test_a_stop_ends_a_sleep(waiter: Waiter) -> None:
    threading.Timer(0.1, waiter.stop.request).start()
    with pytest.raises(Stopped):
        waiter.sleep(60)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_the_given_authority_is_accepted(
    waiter: Waiter, authority: CertificateAuthority, server_context: ssl.SSLContext, host: str
) -> None:
    trusting = TlsSettings(authority=authority.crt)
    with (
        server(context=server_context) as there,
        connected(settings_for(f"wss://{host}:{there.port}/", tls=trusting), waiter) as connection,
    ):
        connection.send_frames([bytes((number,)) * 1500 for number in range(64)])
        expected = [bytes((number,)) * 1500 for number in range(64)]
        assert next_messages(connection, 64) == expected


def test_an_unknown_authority_is_told(waiter: Waiter, server_context: ssl.SSLContext) -> None:
    with server(context=server_context) as there:
        error = failure(settings_for(f"wss://localhost:{there.port}/"), waiter)
    assert isinstance(error, TlsError)
    assert "the certificate of localhost is not accepted" in str(error)
    assert "certificate" in str(error).partition("accepted:")[2]
    assert 'its issuer is "CN=vpnws test CA"; use --ca FILE for a private authority' in str(error)
    assert "something on the way opens TLS (a firewall that inspects it, a login page)" in str(
        error
    )
    assert exit_code(error) is Exit.TLS


def test_a_ca_file_that_does_not_fit_is_named(
    waiter: Waiter, server_context: ssl.SSLContext, tmp_path: Path
) -> None:
    stranger = CertificateAuthority(tmp_path).crt
    settings = TlsSettings(authority=stranger)
    with server(context=server_context) as there:
        error = failure(settings_for(f"wss://localhost:{there.port}/", tls=settings), waiter)
    assert isinstance(error, TlsError)
    assert f"no authority in {stranger} (--ca) has signed it" in str(error)
    assert "use --ca" not in str(error)


def test_a_certificate_for_another_name_is_told(
    waiter: Waiter, authority: CertificateAuthority
) -> None:
    other = authority.server("other.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other.crt, other.key)
    trusting = TlsSettings(authority=authority.crt)
    with server(context=context) as there:
        error = failure(settings_for(f"wss://localhost:{there.port}/", tls=trusting), waiter)
    assert isinstance(error, TlsError)
    assert "Hostname mismatch" in str(error)
    assert "localhost" in str(error)


def test_without_verification_any_certificate_does(
    waiter: Waiter, server_context: ssl.SSLContext
) -> None:
    trusting = TlsSettings(verify=False)
    with (
        server(context=server_context) as there,
        connected(settings_for(f"wss://localhost:{there.port}/", tls=trusting), waiter) as one,
    ):
        one.send_frames([b"e" * 60])
        assert next_messages(one, 1) == [b"e" * 60]


def test_a_port_that_does_not_speak_tls_is_told(waiter: Waiter) -> None:
    plain = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(plain)

        thread = threading.Thread(target=run)
        thread.start()
        error = failure(settings_for(f"wss://127.0.0.1:{listener.getsockname()[1]}/"), waiter)
        thread.join(WAIT_S)
    assert isinstance(error, TlsError)
    assert "does not seem to speak TLS" in str(error)


def dated_context(authority: CertificateAuthority, begin: str, end: str) -> ssl.SSLContext:
    certificate = authority.server_valid("localhost", begin, end)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.crt, certificate.key)
    return context


@pytest.mark.parametrize(
    ("begin", "end", "needle"),
    [
        (
            "20200101000000Z",
            "20210102030405Z",
            "is valid from 2020-01-01 00:00 UTC to 2021-01-02 03:04 UTC, and this machine's",
        ),
        ("21200101000000Z", "21210101000000Z", "is valid from 2120-01-01 00:00 UTC on, and this"),
    ],
)
def test_a_certificate_out_of_date_is_told_with_its_date(
    waiter: Waiter, authority: CertificateAuthority, begin: str, end: str, needle: str
) -> None:
    trusting = TlsSettings(authority=authority.crt)
    with server(context=dated_context(authority, begin, end)) as there:
        settings = settings_for(f"wss://localhost:{there.port}/", tls=trusting)
        error = failure(settings, waiter)
    assert isinstance(error, TlsError)
    assert f"the certificate of localhost {needle}" in str(error)
    assert "this machine's clock says 2" in str(error)


DATED = {"notBefore": "Jan  1 00:00:00 2026 GMT", "notAfter": "Jan  1 00:00:00 2027 GMT"}
DAY_S = 86400
BEGIN_S = 1767225600


@pytest.mark.parametrize(
    ("certificate", "now_s", "needle"),
    [
        (DATED, 0, "clock says 1970-01-01 00:00 UTC: most likely that clock is wrong, by 56 years"),
        (DATED, BEGIN_S - 90 * DAY_S, "by 90 days or more"),
        (DATED, BEGIN_S - 3 * 3600, "by 3 hours or more"),
        (DATED, BEGIN_S - 130, "by 2 minutes or more"),
        (DATED, BEGIN_S - 1, "by a minute or more"),
        (
            DATED,
            BEGIN_S + 370 * DAY_S,
            "to 2027-01-01 00:00 UTC, and this machine's clock says 2027-01-06 00:00 UTC, 5 days"
            " later: either it was not renewed in time",
        ),
        (DATED, BEGIN_S + DAY_S, "a certificate in the chain of h has expired or is not valid yet"),
        ({}, BEGIN_S, "this machine's clock says 2026-01-01 00:00 UTC"),
    ],
)
def test_the_sentence_about_dates_weighs_the_clock(
    certificate: dict[str, str], now_s: float, needle: str
) -> None:
    assert needle in str(tls.explain_dates("h", certificate, now_s))


def test_dates_are_checked_again_after_they_were_asked_for(authority: CertificateAuthority) -> None:
    context = authority.client_context()
    before = context.verify_flags
    with tls.ignoring_dates(context):
        assert context.verify_flags != before
    assert context.verify_flags == before


def asking_context(authority: CertificateAuthority) -> ssl.SSLContext:
    """A server's context that lets in only those with a certificate of the authority."""
    certificate = authority.server("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.crt, certificate.key)
    context.load_verify_locations(authority.crt)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_client_certificate_is_shown(waiter: Waiter, authority: CertificateAuthority) -> None:
    own = authority.client("al")
    settings = TlsSettings(authority=authority.crt, certificate=own.crt, key=own.key)
    with (
        server(context=asking_context(authority)) as there,
        connected(settings_for(f"wss://localhost:{there.port}/", tls=settings), waiter) as one,
    ):
        one.send_frames([b"f" * 60])
        assert next_messages(one, 1) == [b"f" * 60]


def test_a_missing_client_certificate_is_told(
    waiter: Waiter, authority: CertificateAuthority
) -> None:
    settings = TlsSettings(authority=authority.crt)
    with server(context=asking_context(authority)) as there:
        error = failure(settings_for(f"wss://localhost:{there.port}/", tls=settings), waiter)
    assert isinstance(error, TlsError)
    assert "see --crt and --key" in str(error)


def test_tls_older_than_1_2_is_not_spoken() -> None:
    context = tls.make_context(TlsSettings())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_what_is_wrong_with_the_stations_own_files_is_told(authority: CertificateAuthority) -> None:
    own, other = authority.client("al"), authority.client("bo")
    for crt, key, sentence in (
        (own.crt, None, f"--crt {own.crt}: no key in it: name the key's file with --key"),
        (own.key, own.crt, f"--crt {own.key}: no certificate in PEM form in it"),
        (own.crt, other.crt, f"--key {other.crt}: no key in PEM form in it"),
        (
            own.crt,
            other.key,
            f"--crt {own.crt}: the key in {other.key} is not the key of that certificate",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            tls.make_context(TlsSettings(certificate=crt, key=key))
        assert str(caught.value) == sentence


def test_a_stream_that_has_ended_reads_as_ended() -> None:
    near, far = socket.socketpair()
    stream = Stream(near)
    far.close()
    assert stream.read_into(memoryview(bytearray(10))) == 0
    stream.close()
