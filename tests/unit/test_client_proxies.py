"""Which proxy is used: from its URL, from the environment, and for which servers none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.client.connect.proxy_choice import choose, is_exempt
from vpnws.client.connect.proxy_url import parse_proxy
from vpnws.client.connect.url import parse_url
from vpnws.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://proxy/", "http://proxy:80"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("https://proxy", "https://proxy:443"),
        ("socks5://proxy", "socks5://proxy:1080"),
        ("socks5h://[2001:db8::1]", "socks5h://[2001:db8::1]:1080"),
        ("socks://proxy:9", "socks5h://proxy:9"),
        ("http://al:s3cret@proxy:1", "http://proxy:1"),
        ("http://bücher.example:1", "http://xn--bcher-kva.example:1"),
    ],
)
def test_a_url_of_a_proxy(text: str, shown: str) -> None:
    proxy, _ = parse_proxy(text, "--proxy")
    assert proxy.shown == shown
    assert "s3cret" not in repr(proxy)


@pytest.mark.parametrize(
    ("text", "login", "lacks_password"),
    [
        ("http://proxy", None, False),
        ("http://al@proxy", ("al", ""), True),
        ("http://al:@proxy", ("al", ""), False),
        ("http://al:p%40%3A%25%C3%A4@proxy", ("al", "p@:%ä"), False),
        ("http://al:p@ss@proxy", ("al", "p@ss"), False),
        ("http://DOMAIN%5Cal:x%ä@proxy", ("DOMAIN\\al", "x%ä"), False),
    ],
)
def test_the_login_in_it(text: str, login: tuple[str, str] | None, lacks_password: bool) -> None:
    proxy, lacks = parse_proxy(text, "--proxy")
    assert (proxy.login, lacks) == (login, lacks_password)


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("", "it is empty"),
        ("http://pro xy", "a space"),
        ("ftp://al:s3cret@proxy", "begins with none of http://, https://, socks5://, socks5h://"),
        ("socks4://proxy", "version 4 of SOCKS"),
        ("http://", "names no proper host"),
        ("http://al:s3cret@", "names no proper host"),
        ("http://proxy:99999", "its host or its port"),
        ("http://proxy/path", "something after its host and port"),
        ("http://al:s3cret#x@proxy", "in a password, write / ? # as %2F %3F %23"),
        ("http://al:s3cret%FF@proxy", "not UTF-8"),
        ("http://:s3cret@proxy", "the user's name is empty"),
        ("http://a%3Ab:s3cret@proxy", "has a ':' in it"),
    ],
)
def test_a_wrong_one_is_told_without_its_password(text: str, needle: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_proxy(text, "https_proxy")
    assert needle in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environ", "chosen"),
    [
        ("wss://h/", {}, None),
        ("wss://h/", {"https_proxy": "http://a", "all_proxy": "http://b"}, "https_proxy"),
        ("wss://h/", {"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "https_proxy"),
        ("wss://h/", {"HTTPS_PROXY": "http://a"}, "HTTPS_PROXY"),
        ("wss://h/", {"wss_proxy": "http://a", "https_proxy": "http://b"}, "wss_proxy"),
        ("wss://h/", {"http_proxy": "http://a"}, None),
        ("wss://h/", {"https_proxy": "", "ALL_PROXY": "socks5h://a"}, "ALL_PROXY"),
        ("ws://h/", {"http_proxy": "http://a"}, "http_proxy"),
        ("ws://h/", {"HTTP_PROXY": "http://a"}, None),
        ("ws://h/", {"https_proxy": "http://a"}, None),
        ("ws://h/", {"ws_proxy": "http://a", "http_proxy": "http://b"}, "ws_proxy"),
        ("ws://h/", {"all_proxy": "http://a", "ALL_PROXY": "http://b"}, "all_proxy"),
        ("wss://h/", {"https_proxy": "http://a", "no_proxy": "h"}, None),
        ("wss://h/", {"https_proxy": "http://a", "NO_PROXY": "h"}, None),
        ("wss://h/", {"https_proxy": "http://a", "no_proxy": "x", "NO_PROXY": "h"}, "https_proxy"),
    ],
)
def test_the_environment_names_one(url: str, environ: dict[str, str], chosen: str | None) -> None:
    proxy = choose(parse_url(url), environ)
    assert (proxy.origin if proxy else None) == chosen


def test_a_wrong_one_in_the_environment_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="the proxy in HTTPS_PROXY cannot be used"):
        choose(parse_url("wss://h/"), {"HTTPS_PROXY": "gopher://x"})
    # One that is not needed harms nobody.
    assert choose(parse_url("ws://h/"), {"HTTPS_PROXY": "gopher://x"}) is None


@pytest.mark.parametrize(
    ("url", "listed", "exempt"),
    [
        ("wss://h/", "*", True),
        ("wss://h/", "a, *", True),
        ("wss://vpn.example.org/", "example.org", True),
        ("wss://vpn.example.org/", ".example.org", True),
        ("wss://VPN.Example.org./", "example.ORG.", True),
        ("wss://example.org/", ".example.org", True),
        ("wss://badexample.org/", "example.org", False),
        ("wss://example.org/", "vpn.example.org", False),
        ("wss://h/", "", False),
        ("wss://h/", ",, ,", False),
        ("wss://h/", "a b h", True),
        ("wss://h:8443/", "h:8443", True),
        ("wss://h/", "h:8443", False),
        ("wss://h/", "h:443", True),
        ("wss://10.1.2.3/", "10.0.0.0/8", True),
        ("wss://10.1.2.3/", "10.1.2.3", True),
        ("wss://10.1.2.3/", "2.3", False),
        ("wss://10.1.2.3/", "nonsense/8", False),
        ("wss://10.1.2.3:99/", "10.1.2.3:99", True),
        ("wss://[2001:db8::1]/", "2001:DB8::/32", True),
        ("wss://[2001:db8::1]/", "[2001:db8::1]", True),
        ("wss://[2001:db8::1]/", "[2001:db8::1]:443", True),
        ("wss://[2001:db8::1]/", "[2001:db8::1]:444", False),
        ("wss://[fe80::1%25eth0]/", "fe80::/10", True),
        ("wss://localhost/", "10.0.0.0/8", False),
    ],
)
def test_servers_that_need_no_proxy(url: str, listed: str, exempt: bool) -> None:
    assert is_exempt(parse_url(url), listed) is exempt


@given(st.text(max_size=40), st.sampled_from(["", "http://", "socks5h://a:b@", "https://[", "//"]))
def test_any_text_is_a_proxy_or_one_sentence(text: str, begin: str) -> None:
    try:
        proxy, _ = parse_proxy(begin + text, "--proxy")
    except ConfigError as error:
        said = str(error)
    else:
        said = proxy.named
    assert said.isprintable()


@given(st.text(max_size=40), st.sampled_from(["wss://h/", "wss://10.1.2.3/", "wss://[::1]:9/"]))
def test_any_list_of_servers_is_read(listed: str, url: str) -> None:
    assert is_exempt(parse_url(url), listed) in (True, False)
    assert is_exempt(parse_url(url), f"{listed},*")
