"""The options of the way to the server: several URLs, proxies, tokens, passwords, names."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.ca import CertificateAuthority
from tests.support.prerequisites import require
from vpnws.client.connect.servers import MAX_SERVERS
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.errors import ConfigError
from vpnws.https import login, tls
from vpnws.https.tls import TlsSettings

if TYPE_CHECKING:
    from vpnws.client.settings import ClientSettings

URL = "wss://vpn.example.org/vpn"
PROXY = "http://proxy:3128"


def settings_of(*arguments: str) -> ClientSettings:
    return read(make_parser().parse_args(arguments))


def wrong(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings_of(*arguments)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person at a terminal is asked; each answer is "typed"."""
    questions: list[str] = []

    def answer(prompt: str) -> str:
        questions.append(prompt)
        return "typed"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(login.getpass, "getpass", answer)  # type: ignore[attr-defined]
    return questions


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_text("p@:%ä€\nmore\n", encoding="utf-8")
    return made


class TestServers:
    def test_each_url_is_a_server_with_its_own_login(self) -> None:
        settings = settings_of("tap0", "wss://al:a@one/", "ws://two/", "wss://bo:b@three/")
        alone = settings.for_each_server
        assert [each.url.host for each in alone] == ["one", "two", "three"]
        # A password is for its own server alone.
        assert [each.login for each in alone] == [("al", "a"), None, ("bo", "b")]
        assert all(each.others == () for each in alone)

    def test_the_user_of_the_option_is_for_all(self, asked: list[str]) -> None:
        settings = settings_of("--user", "al", "tap0", "wss://one/", "wss://two/")
        assert [each.login for each in settings.for_each_server] == [("al", "typed")] * 2
        assert asked == ["password of al: "]

    def test_one_user_twice_is_refused(self) -> None:
        said = wrong("--user", "al", "tap0", "wss://one/", "wss://bo:s3cret@two/")
        assert "names a user already" in said

    def test_tls_options_need_tls_at_each(self) -> None:
        assert "are for TLS" in wrong("--ca", "x", "tap0", "wss://one/", "ws://two/")

    def test_too_many_are_refused(self) -> None:
        urls = [f"ws://h{number}/" for number in range(MAX_SERVERS + 1)]
        assert f"at most {MAX_SERVERS} are tried" in wrong("tap0", *urls)


class TestProxy:
    def test_without_one_there_is_none(self) -> None:
        assert settings_of("tap0", URL).url.proxy is None

    def test_one_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", PROXY)
        monkeypatch.setenv("no_proxy", "other.example.org")
        settings = settings_of("tap0", URL, "wss://other.example.org/")
        first, second = (each.url.proxy for each in settings.for_each_server)
        assert first is not None
        assert first.named == f"the proxy {PROXY} (https_proxy)"
        assert second is None

    def test_the_option_counts_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "http://other")
        monkeypatch.setenv("no_proxy", "*")
        proxy = settings_of("--proxy", PROXY, "tap0", URL).url.proxy
        assert proxy is not None
        assert proxy.named == f"the proxy {PROXY}"
        assert settings_of("--proxy", "none", "tap0", URL).url.proxy is None

    def test_its_password_comes_from_a_file(self, file: Path) -> None:
        options = ("--proxy", "socks5h://al@proxy", "--proxy-password-file", str(file))
        proxy = settings_of(*options, "tap0", URL).url.proxy
        assert proxy is not None
        assert proxy.login == ("al", "p@:%ä€")

    def test_its_password_is_asked_for(self, asked: list[str]) -> None:
        proxy = settings_of("--proxy", "http://al@proxy:3128", "tap0", URL).url.proxy
        assert proxy is not None
        assert proxy.login == ("al", "typed")
        assert asked == [f"password of al at the proxy {PROXY}: "]

    def test_without_a_terminal_the_option_is_named(self) -> None:
        said = wrong("--proxy", "http://al@proxy", "tap0", URL)
        assert "there is no terminal" in said
        assert said.endswith("use --proxy-password-file FILE")

    def test_its_authority(self) -> None:
        options = ("--proxy", "https://proxy", "--proxy-ca", "ca.pem")
        proxy = settings_of(*options, "tap0", URL).url.proxy
        assert proxy is not None
        assert proxy.authority == Path("ca.pem")

    @pytest.mark.parametrize(
        ("options", "needle"),
        [
            (["--proxy", "ftp://al:s3cret@proxy"], "the proxy in --proxy cannot be used"),
            (["--proxy", "http://al:s3cret@p", "--proxy-password-file", "x"], "has no password"),
            (["--proxy", "http://p", "--proxy-password-file", "x"], "http://USER@HOST:PORT"),
            (["--proxy", "none", "--proxy-password-file", "x"], "has no password"),
            (["--proxy-password-file", "x"], "needs --proxy"),
            (["--proxy", "http://al@p", "--proxy-password-file", "/none"], "cannot be read"),
            (["--proxy", "http://p", "--proxy-ca", "x"], "https:// in its URL"),
            (["--proxy-ca", "x"], "https:// in its URL"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options: list[str], needle: str) -> None:
        assert needle in wrong(*options, "tap0", URL)


class TestToken:
    def test_it_is_sent_as_a_bearer(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("aB3.-_~+/==\n")
        settings = settings_of("--token-file", str(token), "tap0", URL)
        assert settings.headers == (("Authorization", "Bearer aB3.-_~+/=="),)
        assert settings.login is None
        assert settings.has_secret

    def test_what_is_no_token_is_refused(self, file: Path) -> None:
        assert "is not a bearer token" in wrong("--token-file", str(file), "tap0", URL)

    @pytest.mark.parametrize(
        "others", [("--header", "Authorization: x", "tap0", URL), ("tap0", "wss://al:s3cret@h/")]
    )
    def test_it_excludes_other_logins(self, tmp_path: Path, others: tuple[str, ...]) -> None:
        token = tmp_path / "token"
        token.write_text("t0ken")
        assert "replace each other" in wrong("--token-file", str(token), *others)


class TestName:
    def test_it_is_kept_in_ascii(self) -> None:
        settings = settings_of("--sni", "bücher.example", "tap0", "wss://192.0.2.7/")
        assert settings.tls.server_name == "xn--bcher-kva.example"

    @pytest.mark.parametrize("name", ["", "h:443", "wss://h/", "a" * 70])
    def test_what_is_no_name_is_refused(self, name: str) -> None:
        assert "--sni" in wrong("--sni", name, "tap0", URL)


class TestKeyPassword:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> TlsSettings:
        """A certificate whose key is encrypted by "typed"."""
        require("openssl")
        own = CertificateAuthority(tmp_path).client("al")
        encrypted = tmp_path / "encrypted.key"
        processes.run(f"openssl pkey -in {own.key} -aes256 -passout pass:typed -out {encrypted}")
        return TlsSettings(certificate=own.crt, key=encrypted)

    def test_it_is_asked_for(self, settings: TlsSettings, asked: list[str]) -> None:
        tls.make_context(settings)
        assert asked == [f"password of the key {settings.key}: "]

    def test_without_a_terminal_the_option_is_named(self, settings: TlsSettings) -> None:
        with pytest.raises(ConfigError, match=r"no terminal.*: use --key-password-file FILE"):
            tls.make_context(settings)

    @pytest.mark.parametrize(
        ("content", "fits"), [("typed", True), ("wrong", False), ("x" * 2000, False)]
    )
    def test_it_comes_from_a_file(
        self, settings: TlsSettings, tmp_path: Path, content: str, fits: bool
    ) -> None:
        file = tmp_path / "pw"
        file.write_text(f"{content}\n")
        with_file = TlsSettings(
            certificate=settings.certificate, key=settings.key, key_password=file
        )
        if fits:
            tls.make_context(with_file)
            return
        with pytest.raises(ConfigError) as caught:
            tls.make_context(with_file)
        assert str(caught.value) == (
            f"the password in --key-password-file {file} does not open the key {settings.key}"
        )

    def test_it_needs_a_certificate(self) -> None:
        assert "needs --crt" in wrong("--key-password-file", "x", "tap0", URL)
