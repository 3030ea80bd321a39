"""What is said to proxies, byte by byte, and what their answers become."""

from __future__ import annotations

import base64
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.client.connect.exchange import read
from vpnws.client.connect.heads import MAX_HEAD_BYTES
from vpnws.client.connect.http_tunnel import MAX_INTERIM_ANSWERS, HttpTunnel
from vpnws.client.connect.proxy_url import parse_proxy
from vpnws.client.connect.socks import SocksTunnel
from vpnws.client.program.exits import Exit, ends_first_attempt, exit_code
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.errors import ConfigError, ConnectError, RefusedError

if TYPE_CHECKING:
    from vpnws.client.connect.tunnel import Tunnel

SECRET = "p@:%ä€"
SECRET_IN_URL = "p%40%3A%25%C3%A4%E2%82%AC"
OPENED = bytes((5, 0, 0, 1)) + bytes(6)


def http(url: str = "http://proxy:3128", host: str = "vpn.example", port: int = 443) -> HttpTunnel:
    return HttpTunnel(parse_proxy(url, "--proxy")[0], host, port)


def socks(url: str = "socks5h://proxy", host: str = "vpn.example", port: int = 443) -> SocksTunnel:
    return SocksTunnel(parse_proxy(url, "--proxy")[0], host, port)


def refusal(tunnel: Tunnel, *answers: bytes) -> ConnectError:
    """Feed answers, and take what is sent in between; return the error that must come."""
    *before, last = answers
    for answer in before:
        tunnel.take_unsent()
        tunnel.feed(answer)
    with pytest.raises(ConnectError) as caught:
        tunnel.feed(last)
    assert str(caught.value).isprintable()
    assert "s3cret" not in str(caught.value)
    return caught.value


def said_of(tunnel: Tunnel, parts: list[bytes]) -> str:
    """Feed any bytes; return the sentence about them, empty while there is none."""
    try:
        for part in parts:
            tunnel.feed(part)
    except ConnectError as error:
        return str(error)
    return ""


def answer(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers, "", ""]).encode()


class TestHttp:
    @pytest.mark.parametrize(
        ("host", "shown"),
        [("vpn.example", "vpn.example:443"), ("2001:db8::1", "[2001:db8::1]:443")],
    )
    def test_the_request(self, host: str, shown: str) -> None:
        lines = http(host=host).take_unsent().decode().split("\r\n")
        assert lines[0] == f"CONNECT {shown} HTTP/1.1"
        assert f"Host: {shown}" in lines
        assert not any(line.startswith("Proxy-Authorization") for line in lines)
        assert lines[-2:] == ["", ""]

    def test_the_login_is_utf_8_and_sent_whole(self) -> None:
        tunnel = http(f"http://al:{SECRET_IN_URL}@proxy:3128")
        (value,) = [
            line.removeprefix("Proxy-Authorization: Basic ")
            for line in tunnel.take_unsent().decode().split("\r\n")
            if line.startswith("Proxy-Authorization: ")
        ]
        assert base64.b64decode(value).decode() == f"al:{SECRET}"

    def test_it_opens_also_byte_by_byte_and_after_an_interim_answer(self) -> None:
        tunnel = http()
        for byte in answer(100) + answer(200, "Via: x"):
            assert not tunnel.is_open
            tunnel.feed(bytes((byte,)))
        assert tunnel.is_open
        tunnel = http()
        tunnel.feed(answer(103) + answer(200))
        assert tunnel.is_open

    @pytest.mark.parametrize(
        ("reply", "needle"),
        [
            (answer(403), "makes no connection to vpn.example:443 (HTTP 403): whoever runs the"),
            (answer(405), "many proxies allow tunnels to port 443 only"),
            (answer(404), "does it speak CONNECT at all"),
            ((MAX_INTERIM_ANSWERS + 1) * answer(100), "it answers without an end"),
            (answer(501), "does it speak CONNECT at all"),
            (answer(502), "it cannot reach that server"),
            (answer(504), "that server does not answer it"),
            (answer(418), "(HTTP 418): see the proxy's log"),
            (answer(503, "X-Squid-Error: ERR_DNS_FAIL 0"), "it cannot look up that name"),
            (answer(500, "X-Squid-Error: ERR_CANNOT_FORWARD 0"), "it finds no way there"),
            (answer(500), "it cannot reach that server"),
            (answer(503, "X-Squid-Error: ERR_CONNECT_FAIL 111"), "nobody answers it there"),
            (answer(503, "X-Squid-Error: ERR_ELSE 1"), "it cannot reach that server"),
            (
                answer(302, "Location: http://login.hotel.example/?token=s3cret"),
                "a login page answers instead, at http://login.hotel.example/ (HTTP 302)",
            ),
            (answer(511), "a login page answers instead (HTTP 511)"),
            (answer(200) + b"<html>", "is what listens there a web server"),
            (b"SSH-2.0-OpenSSH\r\n", "no HTTP proxy"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "it speaks TLS: write https://"),
            (b"\x05\xff", "it speaks SOCKS: write socks5h://"),
            (b"HTTP/1.1 huh\r\n\r\n", "no proper HTTP status line"),
            (b"HTTP/1.1 200 " + b"a" * MAX_HEAD_BYTES, "a head of more than"),
        ],
    )
    def test_what_is_no_tunnel_is_told(self, reply: bytes, needle: str) -> None:
        error = refusal(http(), reply)
        assert str(error).startswith("the proxy http://proxy:3128 ")
        assert needle in str(error)
        assert not ends_first_attempt(error)

    @pytest.mark.parametrize(
        ("url", "headers", "needle"),
        [
            ("http://p", ["Proxy-Authenticate: Basic realm=x"], "--proxy-password-file"),
            ("http://p", [], "--proxy-password-file"),
            ("http://al:s3cret@p", ["Proxy-Authenticate: Basic"], "does not accept this user and"),
            (
                "http://al:s3cret@p",
                ["Proxy-Authenticate: NTLM", "proxy-authenticate: Negotiate"],
                "accepts logins by negotiate or ntlm only, which this client does not speak",
            ),
        ],
    )
    def test_a_login_that_is_wanted(self, url: str, headers: list[str], needle: str) -> None:
        error = refusal(http(url), answer(407, *headers))
        assert isinstance(error, RefusedError)
        assert needle in str(error)
        assert "407" in str(error)
        # Asking again and again would lock the account.
        assert ends_first_attempt(error)
        assert exit_code(error) is Exit.REFUSED

    @given(st.lists(st.binary(max_size=30), max_size=8), st.booleans())
    def test_any_bytes_become_one_sentence_or_wait(self, parts: list[bytes], begins: bool) -> None:
        tunnel = http()
        assert said_of(tunnel, [b"HTTP/1.1 407 x\r\n"] * begins + parts).isprintable()
        assert not tunnel.is_open


class TestSocks:
    def test_without_a_login(self) -> None:
        tunnel = socks()
        assert tunnel.take_unsent() == b"\x05\x01\x00"
        tunnel.feed(b"\x05\x00")
        assert tunnel.take_unsent() == b"\x05\x01\x00\x03\x0bvpn.example\x01\xbb"
        tunnel.feed(OPENED)
        assert tunnel.is_open
        assert tunnel.take_unsent() == b""

    @pytest.mark.parametrize(
        ("host", "encoded"),
        [("192.0.2.7", b"\x01\xc0\x00\x02\x07"), ("::1", b"\x04" + bytes(15) + b"\x01")],
    )
    def test_addresses_are_sent_as_such(self, host: str, encoded: bytes) -> None:
        tunnel = socks(host=host)
        tunnel.take_unsent()
        tunnel.feed(b"\x05\x00")
        assert tunnel.take_unsent() == b"\x05\x01\x00" + encoded + b"\x01\xbb"

    def test_the_login_is_utf_8_and_sent_whole(self) -> None:
        tunnel = socks(f"socks5h://al:{SECRET_IN_URL}@proxy")
        assert tunnel.take_unsent() == b"\x05\x02\x00\x02"
        tunnel.feed(b"\x05\x02")
        secret = SECRET.encode()
        assert tunnel.take_unsent() == b"\x01\x02al" + bytes((len(secret),)) + secret
        tunnel.feed(b"\x01\x00")
        assert tunnel.take_unsent().startswith(b"\x05\x01")
        tunnel.feed(OPENED)
        assert tunnel.is_open

    @pytest.mark.parametrize(
        "bound", [bytes((1,)) + bytes(6), b"\x03\x02ab\0\0", b"\x04" + bytes(18)]
    )
    def test_it_opens_byte_by_byte_with_each_kind_of_address(self, bound: bytes) -> None:
        tunnel = socks()
        for byte in b"\x05\x00" + bytes((5, 0, 0)) + bound:
            assert not tunnel.is_open
            tunnel.feed(bytes((byte,)))
        assert tunnel.is_open

    @pytest.mark.parametrize(
        ("code", "needle"),
        [
            (1, "does not say why"),
            (2, "its rules do not allow that"),
            (3, "no route"),
            (4, "not look up its name"),
            (5, "nobody listens there"),
            (6, "no answer in time"),
            (7, "makes no connections"),
            (8, "try socks5h://"),
            (91, "it says 91, which no standard defines"),
        ],
    )
    def test_each_refusal_is_told(self, code: int, needle: str) -> None:
        error = refusal(socks(), b"\x05\x00", bytes((5, code)))
        assert "the proxy socks5h://proxy:1080 makes no connection to vpn.example:443: " in str(
            error
        )
        assert needle in str(error)

    @pytest.mark.parametrize(
        ("reply", "needle"),
        [
            (b"HTTP/1.1 400 Bad\r\n", "it speaks HTTP: write http://"),
            (b"\x04\x00", "no SOCKS5 proxy"),
            (b"\x05\x00\x05\x00\x00\x09\x00\x00", "no SOCKS5 proxy"),
            (b"\x05\x00" + OPENED + b"more", "no SOCKS5 proxy"),
        ],
    )
    def test_what_is_no_proxy_is_told(self, reply: bytes, needle: str) -> None:
        assert needle in str(refusal(socks(), reply))

    @pytest.mark.parametrize(
        ("url", "answers", "needle"),
        [
            ("socks5h://p", [b"\x05\xff"], "wants a login: put the user into its URL"),
            ("socks5h://p", [b"\x05\x02"], "wants a login: put the user into its URL"),
            ("socks5h://a:s3cret@p", [b"\x05\xff"], "no login by user and password, and none"),
            ("socks5h://a:s3cret@p", [b"\x05\x01"], "no login by user and password, and none"),
            ("socks5h://a:s3cret@p", [b"\x05\x02", b"\x01\x01"], "does not accept this user and"),
        ],
    )
    def test_a_login_that_is_wanted(self, url: str, answers: list[bytes], needle: str) -> None:
        error = refusal(socks(url), *answers)
        assert isinstance(error, RefusedError)
        assert needle in str(error)
        assert ends_first_attempt(error)

    @pytest.mark.parametrize(
        ("url", "host"),
        [("socks5h://a:@p", "h"), (f"socks5h://a:{'x' * 256}@p", "h"), ("socks5h://p", "h" * 256)],
    )
    def test_what_the_protocol_cannot_carry_is_refused(self, url: str, host: str) -> None:
        with pytest.raises(ConfigError, match="is empty or longer than 255 bytes"):
            socks(url, host)

    @given(st.lists(st.binary(max_size=30), max_size=8), st.booleans())
    def test_any_bytes_become_one_sentence_or_wait(self, parts: list[bytes], begins: bool) -> None:
        tunnel = socks("socks5h://a:b@p")
        assert said_of(tunnel, [b"\x05\x02"] * begins + parts).isprintable()


class EndlessStream:
    """A stream whose other end never stops sending."""

    fd = -1

    def read_into(self, buffer: memoryview) -> int:
        buffer[0] = 0
        return 1


def test_bytes_without_an_end_are_not_read_for_ever() -> None:
    stop, now = StopRequest(), [0.0]
    waiter = Waiter(stop, lambda: now[0])
    buffer = memoryview(bytearray(4))
    with closing(stop), closing(waiter):
        assert read(EndlessStream(), buffer, waiter, until_s=1.0) == 1  # type: ignore[arg-type]
        now[0] = 1.0
        with pytest.raises(TimeoutError):
            read(EndlessStream(), buffer, waiter, until_s=1.0)  # type: ignore[arg-type]
