"""The way to a server through proxies, and several servers: real sockets on the loopback."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.fakes.proxies import FakeProxy, HttpProxy, SocksProxy
from tests.support.ca import CertificateAuthority
from tests.support.dialing import MAC, WAIT_S, connected, failure, next_messages, settings_for
from tests.support.echo_server import EchoServer
from tests.support.prerequisites import require
from tests.support.real_waiter import real_waiter
from vpnws.client.connect import resolve, tunnel
from vpnws.client.connect.dial import Dialer
from vpnws.client.connect.proxy_url import parse_proxy
from vpnws.client.connect.secure import explain
from vpnws.client.connect.servers import Servers
from vpnws.client.program.exits import ends_first_attempt
from vpnws.errors import ConfigError, ConnectError, NetworkChangedError, RefusedError, TlsError
from vpnws.https.tls import TlsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vpnws.client.carry.stream import TlsStream
    from vpnws.client.connect.race import Address
    from vpnws.client.settings import Proxy, ServerUrl
    from vpnws.client.waiting import Waiter

NAME = "vpn.example"
"""A name that the proxies know, and this machine's name servers do not."""
LOGIN = ("al", "p@:%ä€")
LOGIN_IN_URL = "al:p%40%3A%25%C3%A4%E2%82%AC@"


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with real_waiter() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    require("openssl")
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def context(authority: CertificateAuthority) -> ssl.SSLContext:
    return authority.server_context(NAME, "127.0.0.1")


def through(proxy: FakeProxy, scheme: str, login: str = "") -> Proxy:
    return parse_proxy(f"{scheme}://{login}127.0.0.1:{proxy.port}", "--proxy")[0]


MESSAGES = [bytes((number,)) * 1500 for number in range(200)]


@pytest.mark.parametrize(
    ("scheme", "kind"), [("http", HttpProxy), ("https", HttpProxy), ("socks5h", SocksProxy)]
)
@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
def test_frames_cross_each_kind_of_proxy(
    waiter: Waiter,
    authority: CertificateAuthority,
    context: ssl.SSLContext,
    scheme: str,
    kind: type[FakeProxy],
    secure: bool,
    login: tuple[str, str] | None,
) -> None:
    outer = context if scheme == "https" else None
    with (
        EchoServer(context=context if secure else None) as server,
        kind({NAME: "127.0.0.1"}, login, outer) as fake,
    ):
        proxy = through(fake, scheme, LOGIN_IN_URL if login else "")
        settings = settings_for(
            f"{'wss' if secure else 'ws'}://{NAME}:{server.port}/vpn",
            proxy=dataclasses.replace(proxy, authority=authority.crt),
            tls=TlsSettings(authority=authority.crt) if secure else TlsSettings(),
        )
        with connected(settings, waiter) as connection:
            connection.send_frames(MESSAGES)
            assert next_messages(connection, len(MESSAGES)) == MESSAGES
            assert connection.peer_address == "127.0.0.1"
            assert not connection.has_unsent
        # The proxy looked up the name: this machine never did.
        assert fake.asked == [(NAME, server.port)]
        assert fake.logins == [login]
        assert server.requests[0].headers["Host"] == f"{NAME}:{server.port}"


def test_socks5_without_h_looks_the_name_up_here(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    found = resolve._lookup

    def lookup(host: str, port: int) -> list[Address]:
        looked_up.append(host)
        # Nobody listens at the first one: the proxy is asked for the other one too.
        both: list[Address] = [
            (socket.AF_INET6, ("::1", port, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", port)),
        ]
        return both if host == NAME else found(host, port)

    monkeypatch.setattr(resolve, "_lookup", lookup)
    with EchoServer() as server, SocksProxy() as fake:
        settings = settings_for(f"ws://{NAME}:{server.port}/", proxy=through(fake, "socks5"))
        with connected(settings, waiter):
            pass
    assert looked_up == [NAME, "127.0.0.1", "127.0.0.1"]
    assert fake.asked == [("::1", server.port), ("127.0.0.1", server.port)]


@pytest.mark.parametrize(("scheme", "kind"), [("http", HttpProxy), ("socks5h", SocksProxy)])
@pytest.mark.parametrize(("login", "needle"), [("", "wants a"), ("al:x@", "does not accept this")])
def test_a_proxy_that_wants_another_login_is_told(
    waiter: Waiter, scheme: str, kind: type[FakeProxy], login: str, needle: str
) -> None:
    with kind(login=LOGIN) as fake:
        settings = settings_for("wss://h/", proxy=through(fake, scheme, login))
        error = failure(settings, waiter)
    assert isinstance(error, RefusedError)
    assert needle in str(error)
    assert ends_first_attempt(error)


@pytest.mark.parametrize(
    ("scheme", "kind", "needle"),
    [
        ("http", HttpProxy, "it cannot look up that name"),
        ("socks5h", SocksProxy, "not look up its name"),
    ],
)
def test_a_name_that_the_proxy_does_not_know_is_told(
    waiter: Waiter, scheme: str, kind: type[FakeProxy], needle: str
) -> None:
    with kind() as fake:
        error = failure(settings_for("wss://nowhere.example/", proxy=through(fake, scheme)), waiter)
    assert f"127.0.0.1:{fake.port} makes no connection to nowhere.example:443" in str(error)
    assert needle in str(error)


def test_a_proxy_that_is_not_there_is_told_with_its_variable(waiter: Waiter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    proxy, _ = parse_proxy(f"http://127.0.0.1:{port}", "https_proxy")
    covering = settings_for("wss://h/", proxy=proxy, addresses=("127.0.0.1/8",))
    assert f"the proxy http://127.0.0.1:{port} (https_proxy): --address 127.0.0.1/8 covers the" in (
        str(failure(covering, waiter))
    )
    error = failure(settings_for("wss://h/", proxy=proxy), waiter)
    assert str(error).startswith(
        f"cannot connect to the proxy http://127.0.0.1:{port} (https_proxy): Connection refused"
    )


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_says_nothing_is_given_up(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(tunnel, "PROXY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("vpnws.client.connect.secure.TLS_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy, _ = parse_proxy(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", "--proxy")
        said = str(failure(settings_for("wss://h/", proxy=proxy), waiter))
    assert said.startswith(f"{proxy.named} took the connection")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_hangs_up_is_told(waiter: Waiter, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            sock, _ = listener.accept()
            sock.recv(65536)
            sock.close()

        thread = threading.Thread(target=run)
        thread.start()
        proxy, _ = parse_proxy(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", "--proxy")
        said = str(failure(settings_for("wss://h/", proxy=proxy), waiter))
        thread.join(WAIT_S)
    assert said.startswith(f"{proxy.named} hung up")


def test_an_https_proxy_of_an_unknown_authority_is_told(
    waiter: Waiter, context: ssl.SSLContext
) -> None:
    with HttpProxy(context=context) as fake:
        error = failure(settings_for("wss://h/", proxy=through(fake, "https")), waiter)
    assert isinstance(error, TlsError)
    assert "use --proxy-ca FILE for a private authority" in str(error)


def test_the_authorities_of_a_proxy_are_read_before_privileges_are_given_up(
    waiter: Waiter, authority: CertificateAuthority, context: ssl.SSLContext, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.crt.read_bytes())
    with EchoServer() as server, HttpProxy(context=context) as fake:
        proxy = dataclasses.replace(through(fake, "https"), authority=file)
        dialer = Dialer(settings_for(f"ws://127.0.0.1:{server.port}/", proxy=proxy), None, waiter)
        file.unlink()
        dialer.connect(MAC).close()
    with pytest.raises(ConfigError, match=f"--proxy-ca {file} cannot be read"):
        Dialer(settings_for("ws://h/", proxy=proxy), None, waiter)


def test_an_interceptor_behind_a_proxy_is_named(waiter: Waiter, context: ssl.SSLContext) -> None:
    with EchoServer(context=context) as server, HttpProxy({NAME: "127.0.0.1"}) as fake:
        settings = settings_for(f"wss://{NAME}:{server.port}/", proxy=through(fake, "http"))
        error = failure(settings, waiter)
    assert 'its issuer is "CN=vpnws test CA"' in str(error)


def test_the_name_of_sni_is_asked_for_and_expected(
    waiter: Waiter, authority: CertificateAuthority
) -> None:
    asked: list[str | None] = []
    context = authority.server_context(NAME)
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    with EchoServer(context=context) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        trusting = TlsSettings(authority=authority.crt, server_name=NAME)
        with connected(settings_for(url, tls=trusting), waiter):
            pass
        without = TlsSettings(authority=authority.crt)
        assert "IP address mismatch" in str(failure(settings_for(url, tls=without), waiter))
    assert asked == [NAME, None]


class TestNames:
    """Names that cannot be looked up any more."""

    def test_the_addresses_of_before_are_tried(
        self, waiter: Waiter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers: list[list[Address]] = [[(socket.AF_INET, ("192.0.2.1", 9))]]

        def lookup(host: str, port: int) -> list[Address]:
            if not answers:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return answers.pop()

        monkeypatch.setattr(resolve, "_lookup", lookup)
        resolver = resolve.Resolver(waiter)
        first = resolver.addresses("h", 9)
        assert resolver.addresses("h", 9) == first
        assert resolver.addresses("h", 9) == first
        assert resolver.known == ("192.0.2.1",)
        (message,) = said(caplog)
        assert message.startswith("cannot look up h: Temporary failure in name resolution")
        assert message.endswith("until then it is sought at the addresses that it had before")
        answers.append([(socket.AF_INET, ("192.0.2.2", 9))])
        resolver.addresses("h", 9)
        assert resolver.known == ("192.0.2.2",)
        resolver.addresses("h", 9)
        assert len(said(caplog)) == 2
        with pytest.raises(ConnectError, match="cannot look up other: "):
            resolver.addresses("other", 9)

    def test_many_addresses_of_one_family_leave_room_for_the_other(
        self, waiter: Waiter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
            many = [(socket.AF_INET6, (f"2001:db8::{n}", 9, 0, 0)) for n in range(20)]
            few = [(socket.AF_INET, ("192.0.2.1", 9))]
            return [(family, 1, 6, "", place) for family, place in [*many, *few]]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        found = resolve.Resolver(waiter).addresses("h", 9)
        assert len(found) == resolve.MAX_ADDRESSES
        assert found[1] == (socket.AF_INET, ("192.0.2.1", 9))

    def test_known_addresses_do_not_wait_for_a_resolver_that_hangs(
        self, waiter: Waiter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        released, calls = threading.Event(), []
        address: Address = (socket.AF_INET, ("192.0.2.1", 9))

        def lookup(host: str, port: int) -> list[Address]:
            calls.append(host)
            if len(calls) > 1:
                released.wait(WAIT_S)
            return [address]

        monkeypatch.setattr(resolve, "_lookup", lookup)
        monkeypatch.setattr(resolve, "KNOWN_TIMEOUT_S", 0.01)
        monkeypatch.setattr(resolve, "LOOKUP_TIMEOUT_S", 0.01)
        resolver = resolve.Resolver(waiter)
        for _ in range(resolve.MAX_LOOKUPS + 3):
            assert resolver.addresses("h", 9) == [address]
        # No more are begun than that, while none ends.
        assert len(calls) == 1 + resolve.MAX_LOOKUPS
        with pytest.raises(ConnectError, match="the name servers do not answer"):
            resolver.addresses("other", 9)
        released.set()


def test_an_address_that_takes_connections_and_says_nothing_comes_last(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over a path that loses long packets."""
    monkeypatch.setattr("vpnws.client.connect.dial.HANDSHAKE_TIMEOUT_S", 0.1)
    with EchoServer() as server, socket.create_server(("127.0.0.2", server.port)):
        both: list[Address] = [
            (socket.AF_INET, (host, server.port)) for host in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(resolve, "_lookup", lambda *_: both)
        dialer = Dialer(settings_for(f"ws://{NAME}:{server.port}/"), None, waiter)
        with pytest.raises(ConnectError, match="then said nothing"):
            dialer.connect(MAC)
        connection = dialer.connect(MAC)
        assert connection.peer_address == "127.0.0.1"
        connection.close()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what our own code has logged."""
    return [each.getMessage() for each in caplog.records if each.name.startswith("vpnws.")]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Turns:
    """Several servers, and what was tried."""

    def __init__(self, waiter: Waiter, *urls: str) -> None:
        first, *others = (settings_for(url) for url in urls)
        settings = dataclasses.replace(first, others=tuple(each.url for each in others))
        self.tried: list[ServerUrl] = []
        self.servers = Servers(settings, None, waiter, ends_first_attempt, self.tried.append)

    def failure(self) -> ConnectError:
        with pytest.raises(ConnectError) as caught:
            self.servers.connect(MAC)
        return caught.value


class TestASecondLook:
    """At a certificate that was not accepted."""

    @staticmethod
    def explained(trouble: Exception) -> ConnectError:
        """Return the explanation when the second look fails with `trouble`."""
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"

        def look(_: ssl.SSLContext) -> TlsStream:
            raise trouble

        return explain(error, NAME, TlsSettings(), None, look)

    @pytest.mark.parametrize("trouble", [ConnectError("x"), OSError("x"), TimeoutError("x")])
    def test_one_that_fails_changes_nothing(self, trouble: Exception) -> None:
        said = str(self.explained(trouble))
        assert said.endswith("certificate; use --ca FILE for a private authority")

    def test_a_change_of_the_network_is_not_lost_meanwhile(self) -> None:
        with pytest.raises(NetworkChangedError):
            self.explained(NetworkChangedError("x"))


class TestSeveralServers:
    def test_the_first_that_can_be_joined_is(
        self, waiter: Waiter, caplog: pytest.LogCaptureFixture
    ) -> None:
        with EchoServer(status=HTTPStatus.UNAUTHORIZED) as refusing, EchoServer() as server:
            urls = [
                f"ws://127.0.0.1:{closed_port()}/",
                f"ws://al:x@127.0.0.1:{refusing.port}/",
                f"ws://bo:y@127.0.0.1:{server.port}/",
                f"ws://127.0.0.1:{server.port}/never",
            ]
            turns = Turns(waiter, *urls)
            reached = turns.servers.connect(MAC)
            reached.connection.close()
        assert reached.url.port == server.port
        assert [url.port for url in turns.tried][1:] == [refusing.port, server.port]
        assert turns.servers.known_addresses == ("127.0.0.1",)
        (message,) = said(caplog)
        assert "Connection refused" in message
        assert f"; ws://127.0.0.1:{refusing.port}/: the server does not accept" in message

    def test_a_refusal_is_not_final_while_another_may_take_us(self, waiter: Waiter) -> None:
        with EchoServer(status=HTTPStatus.UNAUTHORIZED) as refusing:
            urls = [f"ws://127.0.0.1:{refusing.port}/", f"ws://127.0.0.1:{closed_port()}/"]
            error = Turns(waiter, *urls).failure()
        assert not ends_first_attempt(error)
        assert "(HTTP 401); ws://" in str(error)
        assert "Connection refused" in str(error)

    def test_refusals_of_all_are_final(self, waiter: Waiter) -> None:
        with EchoServer(status=HTTPStatus.UNAUTHORIZED) as refusing:
            urls = [f"ws://127.0.0.1:{refusing.port}/{path}" for path in "ab"]
            error = Turns(waiter, *urls).failure()
        assert ends_first_attempt(error)
        assert str(error).count("(HTTP 401)") == 2

    def test_a_change_of_the_network_ends_the_round_at_once(self, waiter: Waiter) -> None:
        def change(_: float) -> None:
            raise NetworkChangedError("the network has changed")

        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            turns = Turns(waiter, f"ws://127.0.0.1:{port}/a", f"ws://127.0.0.1:{port}/b")
            waiter.aside.alarm(waiter.now() + 0.05, change)
            assert isinstance(turns.failure(), NetworkChangedError)
        assert [url.path for url in turns.tried] == ["/a"]
